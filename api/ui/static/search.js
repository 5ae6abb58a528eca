// An image may be dropped anywhere on the page, or pasted, or chosen: it is uploaded at once.
// The page works without this: the form has a button then.
"use strict";

(() => {
  const form = document.getElementById("upload");
  const file = document.getElementById("file");
  const search = document.getElementById("search");
  document.documentElement.classList.add("scripted");

  function upload(files) {
    const images = [...files].filter((each) => each.type.startsWith("image/"));
    if (images.length === 0) return;
    const chosen = new DataTransfer();
    chosen.items.add(images[0]);
    file.files = chosen.files;
    form.requestSubmit();
  }

  file.addEventListener("change", () => file.files.length && form.requestSubmit());

  // What stands in the search form now goes with the image, not what stood there when the page was made.
  form.addEventListener("formdata", (event) => {
    const fields = new FormData(search);
    for (const name of [...event.formData.keys()]) if (name !== "file") event.formData.delete(name);
    for (const [name, value] of fields) if (name !== "image") event.formData.append(name, value);
  });

  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    document.documentElement.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.documentElement.classList.remove("dropping");
  });
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    document.documentElement.classList.remove("dropping");
    upload(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => upload(event.clipboardData?.files ?? []));

  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    document.getElementById("q").select();
  });
})();
