import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Transcript } from "./transcript.ts";

const dialogue: readonly (readonly ["sent" | "received", string])[] = [
  ["received", "220 x\r\n"],
  ["sent", "AUTH LOGIN\r\n"],
  ["received", "334 VXNlcm5hbWU6\r\n"],
  ["sent", "c2VjcmV0\r\n"],
  ["received", "334 UGFzc3dvcmQ6\r\n"],
  ["sent", "cGFzc3dvcmQ=\r\n"],
  ["received", "235 2.7.0 ok\r\n"],
  ["sent", "MAIL FROM:<a@b>\r\nDATA\r\n"],
  ["received", "250 ok\r\n354 go\r\n"],
  ["sent", "Subject: s\r\n\r\nsecret text\r\n..\r\n.\r\n"],
  ["received", "250 taken\r\n"],
  ["sent", "QUIT\r\n"],
];
const expected = [
  "<- 220 x",
  "-> AUTH LOGIN",
  "<- 334 VXNlcm5hbWU6",
  "-> ***",
  "<- 334 UGFzc3dvcmQ6",
  "-> ***",
  "<- 235 2.7.0 ok",
  "-> MAIL FROM:<a@b>",
  "-> DATA",
  "<- 250 ok",
  "<- 354 go",
  "-> (31 octets of content)",
  "-> .",
  "<- 250 taken",
  "-> QUIT",
];

test("credentials and content are never in it, wherever the bytes are cut", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 }), (sizes) => {
      const lines: string[] = [];
      const transcript = new Transcript((line) => lines.push(`${line.direction} ${line.text}`));
      for (const [way, text] of dialogue) {
        for (let at = 0, i = 0; at < text.length; i++) {
          const size = sizes[i % sizes.length] as number;
          transcript[way](Buffer.from(text.slice(at, at + size)));
          at += size;
        }
      }
      assert.deepEqual(lines, expected);
    }),
  );
});

test("AUTH PLAIN with an initial response, and content that is empty", () => {
  const lines: string[] = [];
  const transcript = new Transcript((line) => lines.push(`${line.direction} ${line.text}`));
  transcript.sent(Buffer.from("AUTH PLAIN AGEAYg==\r\n"));
  transcript.received(Buffer.from("235 ok\r\n"));
  transcript.sent(Buffer.from("DATA\r\n"));
  transcript.received(Buffer.from("354 go\r\n"));
  transcript.sent(Buffer.from(".\r\n"));
  assert.deepEqual(lines, ["-> AUTH PLAIN ***", "<- 235 ok", "-> DATA", "<- 354 go", "-> (0 octets of content)", "-> ."]);
});

test("BDAT: the chunk is counted and not shown, wherever it is cut", () => {
  for (let cut = 1; cut < 40; cut++) {
    const lines: string[] = [];
    const transcript = new Transcript((line) => lines.push(`${line.direction} ${line.text}`));
    const said = Buffer.from("BDAT 11 LAST\r\nsecret\r\nx\r\nQUIT\r\nNOOP\r\n");
    transcript.sent(said.subarray(0, cut));
    transcript.sent(said.subarray(cut));
    assert.deepEqual(lines, ["-> BDAT 11 LAST", "-> (11 octets of content)", "-> QUIT", "-> NOOP"]);
  }
});

test("a challenge of SCRAM is not shown: with it one could try passwords", () => {
  const lines: string[] = [];
  const transcript = new Transcript((line) => lines.push(`${line.direction} ${line.text}`));
  transcript.sent(Buffer.from("AUTH SCRAM-SHA-256 biwsbj11LHI9eA==\r\n"));
  transcript.received(Buffer.from("334 cj14eSxzPXEsaT00MDk2\r\n"));
  transcript.sent(Buffer.from("Yz1iaXdz\r\n"));
  transcript.received(Buffer.from("235 2.7.0 ok\r\n"));
  assert.deepEqual(lines, ["-> AUTH SCRAM-SHA-256 ***", "<- 334 ***", "-> ***", "<- 235 2.7.0 ok"]);
});
