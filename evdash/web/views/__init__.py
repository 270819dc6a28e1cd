"""One module a page: parse what was asked, ask the reader, render."""
