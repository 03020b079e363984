import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concat, fromLatin1, latin1 } from "../util/bytes.ts";
import { cut, octets, type PythonReading, readAllWithPython } from "./contents.test.ts";
import { type ConversionOptions, Converter, convertContent, NESTING_LIMIT, PART_LIMIT } from "./conversion.ts";
import { contentFacts } from "./facts.ts";

type Target = ConversionOptions["target"];

function convert(text: string, target: Target = "7bit"): string {
  const facts = contentFacts([latin1(text)]);
  const result = convertContent([latin1(text)], { target, facts });
  return result.ok ? fromLatin1(concat(result.chunks)) : result.why;
}

const lines = (...all: string[]) => all.map((line) => `${line}\r\n`).join("");
const e = "\xc3\xa9";

test("a text becomes quoted-printable, its other octets stay", () => {
  assert.equal(
    convert(
      lines(
        "Subject: x",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "X: y",
        "",
        `caf${e}`,
      ),
    ),
    lines(
      ...["Subject: x", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "X: y"],
      ...["Content-Transfer-Encoding: quoted-printable", "", "caf=C3=A9"],
    ),
  );
});

test("without MIME headers the charset is unknown-8bit (RFC 1428)", () => {
  assert.equal(
    convert(lines("Subject: x", "", `caf${e}`)),
    lines(
      ...["Subject: x", "MIME-Version: 1.0", "Content-Type: text/plain; charset=unknown-8bit"],
      ...["Content-Transfer-Encoding: quoted-printable", "", "caf=C3=A9"],
    ),
  );
  assert.match(convert(`caf${e}`), /^MIME-Version: 1\.0\r\n(?:.+\r\n)+\r\ncaf=C3=A9$/);
});

const mixed = lines(
  ...["MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b", "Content-Transfer-Encoding: 8bit", "", `pre${e}amble`],
  ...["--b", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "", `caf${e} `, "--bx", "--b \t"],
  ...["Content-Type: application/x", "Content-Transfer-Encoding: binary", "", `\0\r\n${e}`, "--b"],
  ...["Content-Type: application/x", "Content-Transfer-Encoding: base64", "", "AAAA", "--b", "--b--", `epi${e}logue`],
);

test("each part by its header; the line break before a delimiter is no part of the body", () => {
  assert.equal(
    convert(mixed),
    lines(
      ...["MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b", "", "pre^^amble"],
      ...[
        "--b",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "caf=C3=A9=20",
        "--bx",
        "--b",
      ],
      ...["Content-Type: application/x", "Content-Transfer-Encoding: base64", "", "AA0Kw6k=", "--b"],
      ...["Content-Type: application/x", "Content-Transfer-Encoding: base64", "", "AAAA", "--b"],
      ...["--b--", "epi^^logue"],
    ),
  );
});

test("a message within a message is converted within", () => {
  const inner = lines("Subject: inner", "", `caf${e}`);
  const converted = convert(`${lines("Content-Type: message/rfc822", "Content-Transfer-Encoding: 8bit", "")}${inner}`);
  assert.equal(
    converted,
    lines(
      ...["Content-Type: message/rfc822", "", "Subject: inner", "MIME-Version: 1.0", "Content-Type: text/plain; charset=unknown-8bit"],
      ...["Content-Transfer-Encoding: quoted-printable", "", "caf=C3=A9"],
    ),
  );
});

test("a digest's parts without a type are messages", () => {
  const text = lines("Content-Type: multipart/digest; boundary=b", "", "--b", "", "Subject: x", "", e, "--b--");
  assert.match(convert(text), /--b\r\n\r\nSubject: x\r\nMIME-Version: 1\.0\r\n/);
});

test("a delimiter of an outer multipart ends the inner one, and another inner one may follow", () => {
  const text = lines(
    ...["Content-Type: multipart/mixed; boundary=o", "", "--o", "Content-Type: multipart/mixed; boundary=i", "", "--i", "", e],
    ...["--o", "", e, "--i", "--o--"],
  );
  const encoded = ["Content-Transfer-Encoding: quoted-printable", "", "=C3=A9"];
  assert.equal(
    convert(text),
    lines(
      ...["Content-Type: multipart/mixed; boundary=o", "", "--o", "Content-Type: multipart/mixed; boundary=i", "", "--i", ...encoded],
      ...["--o", ...encoded, "--i", "--o--"],
    ),
  );
});

test("two delimiters in a row have no part between them, and none comes to be", () => {
  const text = lines("Content-Type: multipart/mixed; boundary=b", "", "--b", "--b", "", e, "--b", "--b--");
  const part = ["--b", "Content-Transfer-Encoding: quoted-printable", "", "=C3=A9"];
  assert.equal(convert(text), lines("Content-Type: multipart/mixed; boundary=b", "", "--b", ...part, "--b", "--b--"));
});

test("what is signed, encrypted or partial goes as it is, or not at all", () => {
  const signed = (body: string, type = "multipart/signed; boundary=s") =>
    lines(
      "Content-Type: multipart/mixed; boundary=b",
      "",
      "--b",
      `Content-Type: ${type}`,
      "",
      "--s",
      "",
      body,
      "--s--",
      "--b",
      "",
      e,
      "--b--",
    );
  const kept = convert(signed("body = text "));
  assert.ok(kept.includes("\r\n--s\r\n\r\nbody = text \r\n--s--\r\n--b\r\n"), kept);
  assert.ok(kept.endsWith("=C3=A9\r\n--b--\r\n"));
  for (const type of ["multipart/signed; boundary=s", "multipart/encrypted; boundary=s", "message/partial"]) {
    assert.equal(convert(signed(e, type)), "unchangeable");
    assert.equal(convert(signed("x".repeat(999), type)), "unchangeable");
  }
});

test("a header outside ASCII cannot be converted, at any depth", () => {
  assert.equal(convert(lines(`Subject: ${e}`, "", e)), "eight-bit-header");
  assert.equal(convert(lines("Content-Type: message/rfc822", "", `Subject: ${e}`, "", "x")), "eight-bit-header");
  assert.equal(convert(lines("Content-Type: multipart/mixed; boundary=b", "", "--b", `X: ${e}`, "", "x", "--b--")), "eight-bit-header");
  assert.match(convert(lines(`Subject: ${e}`, "", "x".repeat(999)), "8bit"), /^Subject: \xc3\xa9\r\n/);
});

test("overlong header lines are folded where they can be", () => {
  const folded = convert(lines(`References: ${"<a@b.test> ".repeat(200)}x`, "", "body"), "8bit");
  assert.ok(contentFacts([latin1(folded)]).longestLine <= 998);
  assert.equal(folded.split("\r\nMIME-Version")[0]!.replaceAll("\r\n", ""), `References: ${"<a@b.test> ".repeat(200)}x`);
  assert.equal(convert(lines(`X: ${"x".repeat(999)}`, "", "body")), "header-line");
  assert.equal(convert(lines("X: a\0", "", "body")), "header-line");
});

test("for a next hop with 8BITMIME only what is binary or overlong is encoded", () => {
  const text = (body: string, encoding: string) =>
    lines("MIME-Version: 1.0", "Content-Type: text/x", `Content-Transfer-Encoding: ${encoding}`, "", body);
  assert.equal(convert(text(e, "8bit"), "8bit"), text(e, "8bit"));
  assert.equal(convert(text(`${e}=`, "binary"), "8bit"), text("=C3=A9=3D", "quoted-printable"));
  assert.match(convert(text(e.repeat(500), "8bit"), "8bit"), /quoted-printable/);
  const container = (encoding: string) =>
    lines("Content-Type: multipart/mixed; boundary=b", `Content-Transfer-Encoding: ${encoding}`, "", "--b", "", e, "--b--");
  assert.equal(
    convert(container("binary"), "8bit"),
    lines("Content-Type: multipart/mixed; boundary=b", "Content-Transfer-Encoding: 8bit", "", "--b", "", e, "--b--"),
  );
});

test("encoded bodies with stray octets or overlong lines are mended", () => {
  const text = (encoding: string, body: string) =>
    convert(lines(`Content-Transfer-Encoding: ${encoding}`, "", body))
      .split("\r\n\r\n")
      .slice(1)
      .join("\r\n\r\n");
  assert.equal(text("quoted-printable", `a=3D${e}\0b`), lines("a=3D=C3=A9=00b"));
  assert.equal(text("quoted-printable", "a=\nb\n--c"), lines("a=", "b", "=2D-c"));
  assert.equal(text("base64", `QUJD${e}\rREVG`), lines("QUJD^^", "REVG"));
  assert.equal(text("base64", "QUJD\n--b\0"), lines("QUJD", "^-b^"));
  for (const encoding of ["quoted-printable", "base64"]) {
    const mended = text(encoding, "=41=42AB".repeat(400));
    assert.ok(mended.split("\r\n").every((line) => line.length <= 998));
    assert.equal(mended.replaceAll(encoding === "base64" ? "\r\n" : "=\r\n", "").replaceAll("\r\n", ""), "=41=42AB".repeat(400));
    assert.doesNotMatch(mended, /=\r?\n?4?=\r\n[0-9A-F]{1,2}(?!.)/);
  }
});

test("nesting has a limit, siblings do not", () => {
  const nested = (depth: number) => `${"Content-Type: message/rfc822\r\n\r\n".repeat(depth)}Subject: x\r\n\r\n${e}\r\n`;
  assert.notEqual(convert(nested(NESTING_LIMIT)), "nesting");
  assert.equal(convert(nested(NESTING_LIMIT + 1)), "nesting");
  const part = lines("--b", "Content-Type: message/rfc822", "", "Subject: x", "", e);
  assert.notEqual(convert(`${lines("Content-Type: multipart/mixed; boundary=b", "")}${part.repeat(200)}--b--\r\n`), "nesting");
});

test("the number of parts has a limit", () => {
  const many = (count: number) => `${lines("Content-Type: multipart/mixed; boundary=b", "")}${`--b\r\n\r\n${e}\r\n`.repeat(count)}`;
  assert.notEqual(convert(many(PART_LIMIT)), "parts");
  assert.equal(convert(many(PART_LIMIT + 1)), "parts");
});

test("a multipart whose parts cannot be told apart is not converted", () => {
  assert.equal(convert(lines("Content-Type: multipart/mixed", "", e)), "boundary");
  assert.equal(convert(lines(`Content-Type: multipart/mixed; boundary=${"b".repeat(201)}`, "", e)), "boundary");
});

/** Entities nested in one another, with bodies full of what looks like a delimiter. */
const body = fc
  .array(
    fc.constantFrom(
      "\r\n",
      "\r\n",
      "--",
      "-",
      "b0",
      "b1",
      "b2",
      "--b1",
      "\r\n--b",
      " ",
      "\t",
      "\xe9",
      "\0",
      "=",
      ".",
      "text",
      "x".repeat(1200),
    ),
    {
      maxLength: 12,
    },
  )
  .map((parts) => parts.join(""));
const plainEncoding = fc.constantFrom(
  "",
  "Content-Transfer-Encoding: 8bit\r\n",
  "Content-Transfer-Encoding: binary\r\n",
  "Content-Transfer-Encoding: 7bit\r\n",
);
const leaf = fc
  .tuple(
    fc.constantFrom(
      "",
      "Content-Type: text/plain; charset=iso-8859-1\r\n",
      "Content-Type: application/octet-stream\r\n",
      "Content-Type: text/html\r\n",
    ),
    plainEncoding,
    body,
  )
  .map(([type, encoding, text]) => `${type}${encoding}X: y\r\n\r\n${text}`);

function entity(depth: number, closes: fc.Arbitrary<boolean>): fc.Arbitrary<string> {
  if (depth === 0) return leaf;
  const inner = entity(depth - 1, closes);
  const boundary = `b${depth}`;
  const many = fc
    .tuple(fc.array(inner, { minLength: 1, maxLength: 3 }), closes, plainEncoding, fc.constantFrom("", "preamble\r\n"))
    .map(([parts, closed, encoding, preamble]) => {
      const joined = parts.map((part) => `--${boundary}\r\n${part}\r\n`).join("");
      return `Content-Type: multipart/mixed; boundary="${boundary}"\r\n${encoding}\r\n${preamble}${joined}${closed ? `--${boundary}--\r\n` : ""}`;
    });
  const one = inner.map((text) => `Content-Type: message/rfc822\r\nX: y\r\n\r\n${text}`);
  return fc.oneof({ weight: 2, arbitrary: many }, leaf, one);
}
const content = (closes: fc.Arbitrary<boolean>) => entity(3, closes).map((text) => `MIME-Version: 1.0\r\n${text}`);
const target = fc.constantFrom<Target>("7bit", "8bit");

test("no cut changes the output, which is legal for its target; converting it again changes nothing", () => {
  fc.assert(
    fc.property(content(fc.boolean()), target, fc.array(fc.nat(30), { maxLength: 60 }), (text, to, cuts) => {
      const bytes = latin1(text);
      const options = { target: to, facts: contentFacts([bytes]) };
      const whole = convertContent([bytes], options);
      for (const chunks of [octets(bytes), cut(bytes, cuts)]) {
        const again = convertContent(chunks, options);
        assert.equal(again.ok, whole.ok);
        if (again.ok && whole.ok) assert.equal(fromLatin1(concat(again.chunks)), fromLatin1(concat(whole.chunks)));
      }
      assert.ok(whole.ok);
      const out = concat(whole.chunks);
      const facts = contentFacts([out]);
      assert.deepEqual([facts.binary, facts.longestLine <= 998, to === "7bit" && facts.eightBit], [false, true, false]);
      const twice = convertContent([out], { target: to, facts });
      assert.ok(twice.ok);
      assert.equal(contentFacts(twice.chunks).eightBit, facts.eightBit);
    }),
    { numRuns: 1000 },
  );
});

test("no soft line break makes a delimiter of a text", () => {
  const text = lines("Content-Type: multipart/mixed; boundary=b", "", "--b", "", `${e.repeat(12)}xxx--b`, "--b--");
  assert.ok(convert(text).includes("xxx=\r\n=2D-b\r\n--b--"));
});

test("another reader finds the same parts with the same octets", (t) => {
  // Python ends lines at a lone CR or LF too, and takes line breaks off a body that no delimiter of its own ends: none of either here.
  // Nor are there parts that begin with neither a header nor an empty line.
  const bare = /\r\n--b\d[ \t]*\r\n(?!Content-|X:|\r\n)/;
  const texts = fc.sample(fc.tuple(content(fc.constant(true)), target), 400).filter(([text]) => !bare.test(text));
  const before = texts.map(([text]) => latin1(text));
  const after = texts.map(([text, to]) => latin1(convert(text, to)));
  const readings = readAllWithPython([...before, ...after], t);
  if (readings === undefined) return;
  for (const [i, source] of before.entries()) {
    const what = `${JSON.stringify(fromLatin1(source))}\n${JSON.stringify(fromLatin1(after[i]!))}`;
    assert.deepEqual(outline(readings[i + before.length]!), outline(readings[i]!), what);
  }
});

const outline = (reading: PythonReading) => reading.parts.map((part) => `${part.type} ${part.body}`);

test("any bytes at all are converted or refused, the same for every cut", () => {
  const soup = fc
    .array(
      fc.constantFrom(
        ...[
          "Content-Type: multipart/mixed; boundary=b\r\n",
          "Content-Type: message/rfc822\r\n",
          "Content-Type: multipart/signed; boundary=b\r\n",
        ],
        ...[
          "Content-Transfer-Encoding: base64\r\n",
          "Content-Transfer-Encoding: quoted-printable\r\n",
          "\r\n",
          "\r\n--b",
          "--",
          "\r",
          "\n",
          "\xe9",
          "\0",
          "x: y\r\n",
          "=",
          "text",
        ],
      ),
      { maxLength: 25 },
    )
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(soup, target, fc.array(fc.nat(9), { maxLength: 60 }), (text, to, cuts) => {
      const bytes = latin1(text);
      const options = { target: to, facts: contentFacts([bytes]) };
      const whole = convertContent([bytes], options);
      assert.deepEqual(whole.ok && fromLatin1(concat(whole.chunks)), joined(convertContent(cut(bytes, cuts), options)));
      if (!whole.ok) return;
      const facts = contentFacts(whole.chunks);
      if (options.facts.binary || (to === "7bit" && options.facts.eightBit))
        assert.deepEqual([facts.binary, to === "7bit" && facts.eightBit], [false, false]);
    }),
    { numRuns: 3000 },
  );
});

function joined(result: ReturnType<typeof convertContent>): string | false {
  return result.ok && fromLatin1(concat(result.chunks));
}

test("a failure is told at once and for good", () => {
  const converter = new Converter({ target: "7bit", facts: { eightBit: true, binary: false, longestLine: 10 } });
  assert.equal(converter.push(latin1(`X: ${e}\r\n\r\n`)).ok, false);
  assert.equal(converter.push(latin1("more")).ok, false);
  assert.equal(converter.end().ok, false);
});
