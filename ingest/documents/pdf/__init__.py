"""PDFs, by PDFium. It bears no threads: two that call it at once crash it, or get wrong answers."""
