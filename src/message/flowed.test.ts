import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FLOWED_WIDTH, flowText } from "./flowed.ts";

/** RFC 3676 4 read backwards: paragraphs with their quote depth. A change of depth ends a paragraph, and so does a signature. */
function unflow(text: string, delSp: boolean): string[] {
  const paragraphs: string[] = [];
  let open: { depth: number; text: string } | undefined;
  const close = () => {
    if (open !== undefined) paragraphs.push(">".repeat(open.depth) + open.text);
    open = undefined;
  };
  for (const line of text.split("\r\n")) {
    const depth = /^>*/.exec(line)![0].length;
    const rest = line.slice(depth).replace(/^ /, "");
    const flowed = rest.endsWith(" ") && rest !== "-- ";
    if (open !== undefined && (open.depth !== depth || rest === "-- ")) close();
    open = { depth, text: (open?.text ?? "") + (flowed && delSp ? rest.slice(0, -1) : rest) };
    if (!flowed) close();
  }
  close();
  return paragraphs;
}

/** What a text means: quote marks and one blank behind them apart, blanks at the ends of lines gone. */
function meant(text: string): string[] {
  return text.split(/\r\n|\r|\n/).map((line) => {
    const depth = /^>*/.exec(line)![0].length;
    const rest = depth > 0 ? line.slice(depth).replace(/^ /, "") : line;
    return ">".repeat(depth) + (rest === "-- " ? rest : rest.replace(/ +$/, ""));
  });
}

test("examples", () => {
  assert.equal(flowText("short\n"), "short\r\n");
  assert.equal(flowText(`${"word ".repeat(20)}end`), `${"word ".repeat(14)}\r\n${"word ".repeat(6)}end`);
  assert.equal(
    flowText(" indented\nFrom here\n> quoted\n>> deeper\n-- \nAnn  "),
    "  indented\r\n From here\r\n> quoted\r\n>> deeper\r\n-- \r\nAnn",
  );
  assert.equal(flowText(`> ${"q ".repeat(40)}end`), `> ${"q ".repeat(35)}\r\n> ${"q ".repeat(5)}end`);
  assert.equal(flowText("日".repeat(80), true), `${"日".repeat(71)} \r\n${"日".repeat(9)}`);
  assert.equal(flowText("x".repeat(100)), "x".repeat(100));
});

test("a reader joins what was wrapped, and nothing else", () => {
  const part = fc.constantFrom(
    ...[
      "word ",
      "a",
      " ",
      "  ",
      ">",
      "> ",
      "\n",
      "\r\n",
      "-- ",
      "From ",
      "日本",
      "👨‍👩‍👧",
      "e\u0301",
      "x".repeat(80),
      "-- \n",
      "b".repeat(71),
    ],
  );
  for (const delSp of [false, true]) {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 40 }), (parts) => {
        const text = parts.join("");
        const flowed = flowText(text, delSp);
        assert.deepEqual(unflow(flowed, delSp), meant(text));
        if (!delSp) return;
        const deep = Math.max(...text.split(/\r\n|\r|\n/).map((line) => /^>*/.exec(line)![0].length));
        for (const line of flowed.split("\r\n")) assert.ok(line.length <= FLOWED_WIDTH + deep + 12, `${line.length}: ${line}`);
      }),
      { numRuns: 1500 },
    );
  }
});

test("linear in the length of a line", () => {
  for (const text of ["x", " ", "x ", "日", ">", "\u0301", "-- "]) for (const delSp of [false, true]) flowText(text.repeat(300_000), delSp);
});
