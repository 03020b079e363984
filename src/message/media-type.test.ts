import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ComposeError } from "./compose-error.ts";
import { attachDataImages, DATA_IMAGE_LIMIT, decodeDataUri } from "./data-uri.ts";
import { extensionOf, mediaTypeOfFile, readMediaType } from "./media-type.ts";

test("types are read strictly", () => {
  assert.deepEqual(readMediaType("x", ' Text/CSV ; charset = "utf-8";header=present; name="a \\"b\\"; c" ;'), {
    type: "text/csv",
    parameters: [
      ["charset", "utf-8"],
      ["header", "present"],
      ["name", 'a "b"; c'],
    ],
  });
  const bad = [
    "",
    "a",
    "a/",
    "/b",
    "a/b/c",
    "a b/c",
    "a/b; c",
    "a/b; =d",
    'a/b; c="d',
    "a/b; c=d e",
    "a/b; c=ü",
    "a/b\r\n; c=d",
    "a/b; c=(d)",
    `a/${"b".repeat(128)}`,
  ];
  for (const text of bad) assert.throws(() => readMediaType("x", text), ComposeError, text);
  fc.assert(
    fc.property(fc.string({ maxLength: 40 }), (text) => {
      try {
        readMediaType("x", `a/b;${text}`);
      } catch (error) {
        assert.ok(error instanceof ComposeError);
      }
    }),
  );
});

test("types are guessed by the name of a file, and names of files by types", () => {
  const examples: [string, string][] = [
    ["a.PDF", "application/pdf"],
    ["a.tar.gz", "application/gzip"],
    ["a.jpeg", "image/jpeg"],
    [".html", "text/html"],
    ["a", "application/octet-stream"],
    ["a.", "application/octet-stream"],
    ["a.constructor", "application/octet-stream"],
    ["pdf", "application/octet-stream"],
  ];
  for (const [name, type] of examples) assert.equal(mediaTypeOfFile(name), type, name);
  assert.deepEqual(["image/jpeg", "image/png", "x/y", "constructor"].map(extensionOf), ["jpg", "png", "bin", "bin"]);
});

test("data: URIs", () => {
  const read = (uri: string) => {
    const { contentType, content } = decodeDataUri(uri);
    return [contentType, Buffer.from(content).toString("latin1")];
  };
  assert.deepEqual(read("data:,a%20b"), ["text/plain;charset=US-ASCII", "a b"]);
  assert.deepEqual(read("data:;charset=utf-8,%C3%BC"), ["text/plain;charset=utf-8", "\xc3\xbc"]);
  assert.deepEqual(read("DATA:image/png;base64,AAEC"), ["image/png", "\0\x01\x02"]);
  assert.deepEqual(read("data:a/b;c=d;base64,AA%3D%3D"), ["a/b;c=d", "\0"]);
  assert.deepEqual(read("data:a/b,100%,%zz"), ["a/b", "100%,%zz"]);
  for (const bad of ["", "data:", "data:a/b", "http://a.test/,", "data:a/b;base64,?"])
    assert.throws(() => decodeDataUri(bad), ComposeError, bad);
});

test("images out of HTML: a limited number, and linear whatever the HTML is", () => {
  const images = Array.from({ length: DATA_IMAGE_LIMIT + 3 }, (_, i) => `<img src="data:image/png,${i}">`).join("");
  const { html, attachments } = attachDataImages(images, "x");
  assert.equal(attachments.length, DATA_IMAGE_LIMIT);
  assert.equal(html.match(/data:/g)?.length, 3);
  for (const text of [
    " src=data:image/",
    ' src="data:image/',
    " src='data:image/ src=\"data:image/",
    "data:image/",
    ' src="data:image/,"',
  ]) {
    attachDataImages(text.repeat(50_000), "x");
  }
});
