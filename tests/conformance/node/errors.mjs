// What a chat client raises where a chat fails.
import assert from "node:assert/strict";
import test from "node:test";
import * as script from "./script.mjs";

// calls: from fields of a request to its reply, one for each way to ask. kinds: what is raised for 404, 429, 500 and
// 400. wrong: a field that is refused by its name. overlong: words for a full context. told: checks an error's kind,
// and returns its message.
export function testErrors({ calls, kinds: [unknown, full, broken, bad], wrong, overlong, told }) {
  const cases = [
    [{ model: script.UNKNOWN }, unknown, /none/],
    [{ model: script.FULL }, full, /queue is full/],
    [{ model: script.BROKEN }, broken, /Internal error/],
    [wrong, bad, new RegExp(Object.keys(wrong)[0])],
    [{ messages: [{ role: "user", content: script.TOO_LONG }] }, bad, overlong],
  ];
  for (const [fields, kind, said] of cases) {
    test(`an error is ${kind.name ?? kind}: ${said}`, async () => {
      for (const call of calls) {
        await assert.rejects(async () => call(fields), (error) => {
          assert.match(told(error, kind), said);
          return true;
        });
      }
    });
  }
}

export function isOfKind(error, kind) {
  assert.ok(error instanceof kind, error);
}
