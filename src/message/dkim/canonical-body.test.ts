import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromLatin1, latin1 } from "../../util/bytes.ts";
import { cut, octets } from "../contents.test.ts";
import { BodyHasher } from "./body-hasher.ts";
import { BodyCanonicalizer, type Canonicalization } from "./canonical-body.ts";
import { nodeCrypto } from "./crypto.ts";

interface Made {
  readonly text: string;
  readonly size: number;
  readonly bare: boolean;
  readonly eightBit: boolean;
  readonly updates: number;
}

function make(form: Canonicalization, chunks: readonly Uint8Array[]): Made {
  let text = "";
  let updates = 0;
  const canonicalizer = new BodyCanonicalizer(form, {
    update(bytes) {
      text += fromLatin1(bytes);
      updates++;
    },
  });
  for (const chunk of chunks) canonicalizer.push(chunk);
  canonicalizer.end();
  return { text, size: canonicalizer.size, bare: canonicalizer.bareLineEnd, eightBit: canonicalizer.eightBit, updates };
}

/** RFC 6376 3.4.3 and 3.4.4, word for word and slow. */
function naive(form: Canonicalization, body: string): string {
  let text = body === "" || body.endsWith("\r\n") ? body : `${body}\r\n`;
  if (form === "relaxed") {
    const lines = text.split("\r\n").map((line) => line.replaceAll(/[ \t]+/g, " ").replace(/ $/, ""));
    text = lines.join("\r\n");
  }
  while (text.endsWith("\r\n\r\n")) text = text.slice(0, -2);
  if (text === "\r\n") text = "";
  return form === "simple" && text === "" ? "\r\n" : text;
}

const bodyText = fc
  .array(
    fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom("\r\n", "\r\n", "\r\n\r\n", " ", " ", "  ", "\t", " \t ", "\r", "\n", "\0", "\xe9") },
      { weight: 3, arbitrary: fc.stringMatching(/^[!-~]{0,8}$/) },
      { weight: 1, arbitrary: fc.stringMatching(/^[a-z ]{250,600}$/) },
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(""));

for (const form of ["simple", "relaxed"] as const) {
  const cases: [body: string, canonical: string][] = [
    ["", form === "simple" ? "\r\n" : ""],
    ["\r\n\r\n", form === "simple" ? "\r\n" : ""],
    [" \t\r\n", form === "simple" ? " \t\r\n" : ""],
    [" \t", form === "simple" ? " \t\r\n" : ""],
    ["a", "a\r\n"],
    ["a\r\n\r\n\r\n", "a\r\n"],
    [" C \r\nD \t E\r\n\r\n\r\n", form === "simple" ? " C \r\nD \t E\r\n" : " C\r\nD E\r\n"], // RFC 6376 3.4.5
    ["a\r\n \r\n\r\nb  c\t\r\n \r\n", form === "simple" ? "a\r\n \r\n\r\nb  c\t\r\n \r\n" : "a\r\n\r\n\r\nb c\r\n"],
    ["a\tb", form === "simple" ? "a\tb\r\n" : "a b\r\n"],
    ["a\r", "a\r\r\n"],
    ["a \r", form === "simple" ? "a \r\r\n" : "a \r\r\n"],
    ["a \rb", "a \rb\r\n"],
    ["a\r\r\n", "a\r\r\n"],
    ["\n\n", "\n\n\r\n"],
  ];
  for (const [body, canonical] of cases) {
    test(`${form} body of ${JSON.stringify(body)}, whole and cut everywhere`, () => {
      assert.equal(naive(form, body), canonical);
      assert.equal(make(form, [latin1(body)]).text, canonical);
      assert.equal(make(form, octets(latin1(body))).text, canonical);
      for (let at = 0; at <= body.length; at++) assert.equal(make(form, cut(latin1(body), [at])).text, canonical);
    });
  }

  test(`${form} bodies are what the naive form is, whole, octet by octet and at random cuts`, () => {
    fc.assert(
      fc.property(bodyText, fc.array(fc.nat(20)), (body, cuts) => {
        const bytes = latin1(body);
        const expected = naive(form, body);
        for (const chunks of [[bytes], octets(bytes), cut(bytes, cuts)]) {
          const made = make(form, chunks);
          assert.equal(made.text, expected);
          assert.equal(made.size, expected.length);
          assert.equal(made.bare, /\r(?!\n)|(?<!\r)\n/.test(body));
          assert.equal(made.eightBit, /[\x80-\xff]/.test(body));
        }
      }),
      { numRuns: 1500 },
    );
  });

  test(`${form}: empty lines without end are counted, not kept, and come back when something follows`, () => {
    const canonicalizer = new BodyCanonicalizer(form, { update: () => assert.fail("nothing may be written yet") });
    const lines = latin1("\r\n".repeat(1000));
    for (let i = 0; i < 1000; i++) canonicalizer.push(lines);
    const text = make(form, [...new Array(5).fill(lines), latin1("x")]).text;
    assert.equal(text, `${"\r\n".repeat(5000)}x\r\n`);
  });
}

test("ordinary text goes to the hash in few pieces; text full of runs of spaces is gathered", () => {
  const line = "The quick brown fox jumps over the lazy dog and runs away from it.\r\n";
  assert.ok(make("relaxed", [latin1(line.repeat(75))]).updates <= 2);
  const spaced = "a  b\t".repeat(4000);
  assert.ok(make("relaxed", [latin1(spaced)]).updates <= 10);
});

test("a body is hashed once for all lengths that signatures have", () => {
  let updates = 0;
  const counting = {
    ...nodeCrypto,
    sha256() {
      const hash = nodeCrypto.sha256();
      return {
        ...hash,
        update(bytes: Uint8Array) {
          updates += bytes.length;
          hash.update(bytes);
        },
      };
    },
  };
  const hasher = new BodyHasher("simple", [5, 0, 3, 3, 100, 12], counting);
  hasher.push(latin1("abcd"));
  hasher.push(latin1("efgh\r\n\r\n"));
  hasher.end();
  assert.equal(hasher.size, 10);
  assert.equal(updates, 10);
  const sha = (text: string) => {
    const hash = nodeCrypto.sha256();
    hash.update(latin1(text));
    return hash.digest();
  };
  assert.deepEqual(hasher.digest(undefined), sha("abcdefgh\r\n"));
  for (const length of [0, 3, 5]) assert.deepEqual(hasher.digest(length), sha("abcdefgh\r\n".slice(0, length)));
  assert.equal(hasher.digest(12), undefined);
  assert.equal(hasher.digest(100), undefined);
});
