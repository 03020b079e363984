import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { child, childText, DEPTH_LIMIT, ELEMENT_LIMIT, parseXml, XML_LIMIT, XmlError } from "./xml.ts";

test("elements, texts, entities, prefixes, what is read over", () => {
  const root = parseXml(
    `\ufeff<?xml version='1.0'?>\r\n<!-- <x> --><a:r xmlns:a="u" b='<' >`.replace("'<'", "'x'") +
      '1&lt;&#65;&#x42;<b/>2<c d="e">3<![CDATA[<&>]]></c></a:r> ',
  );
  assert.equal(root.name, "r");
  assert.equal(root.text, "1<AB2");
  assert.equal(childText(root, "c"), "3<&>");
  assert.deepEqual(child(root, "b"), { name: "b", text: "", children: [] });
});

const broken = [
  "",
  " ",
  "x",
  "<a>",
  "</a>",
  "<a></b>",
  "<a/><b/>",
  "<a/>x",
  "<a",
  "<a b></a>",
  "<a b=c/>",
  "<a>&unknown;</a>",
  "<a>& </a>",
  "<a>&#x110000;</a>",
  "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
  "<a><!-- </a>",
  "<a><![CDATA[x</a>",
  "< a/>",
  "<a><b></a></b>",
];
for (const document of broken) test(`not taken: ${JSON.stringify(document)}`, () => assert.throws(() => parseXml(document), XmlError));

test("limits", () => {
  const nested = (depth: number): string => "<a>".repeat(depth) + "</a>".repeat(depth);
  assert.equal(parseXml(nested(DEPTH_LIMIT)).name, "a");
  assert.throws(() => parseXml(nested(DEPTH_LIMIT + 1)), /deep/);
  assert.equal(parseXml(`<r>${"<a/>".repeat(ELEMENT_LIMIT - 1)}</r>`).children.length, ELEMENT_LIMIT - 1);
  assert.throws(() => parseXml(`<r>${"<a/>".repeat(ELEMENT_LIMIT)}</r>`), /elements/);
  assert.throws(() => parseXml(" ".repeat(XML_LIMIT + 1)), /characters/);
});

test("any text is an element or an XmlError", () => {
  const piece = fc.oneof(
    fc.constantFrom("<", ">", "/", "a", "=", '"', "'", "&", ";", "#", "!", "--", "[CDATA[", "]]>", "?", " ", "<a>", "</a>"),
    fc.string({ maxLength: 2 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      try {
        assert.notEqual(parseXml(pieces.join("")).name, undefined);
      } catch (error) {
        assert.ok(error instanceof XmlError, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});
