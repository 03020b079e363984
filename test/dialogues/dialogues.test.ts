import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { readDialogueFiles, replay } from "./runner.ts";
import { readDialogues } from "./script.ts";

for (const { name, side, dialogues } of readDialogueFiles(new URL("./", import.meta.url))) {
  suite(name, () => {
    for (const dialogue of dialogues) test(dialogue.title, () => replay(side, dialogue));
  });
}

suite("the runner itself finds what is wrong", () => {
  const wrong: [side: "client" | "server", text: string, message: RegExp][] = [
    ["server", "<- 221 *", /says "220 mail.here.test ESMTP ready" instead of 221/],
    ["server", "<- 220 *\n-> NOOP", /says more than the dialogue has/],
    ["server", "<- 220 *\n<- 250 *", /says nothing instead of 250/],
    ["server", "<- 220 *\n-> QUIT\n<- 221 *", /the connection is open/],
    ["server", "<- 220 *\nclosed", /has not closed/],
    ["server", "<- 220 *\ntls", /not ready for TLS/],
    [
      "server",
      "<- 220 *\n-> EHLO a\n<- 250-*\n...\n-> MAIL FROM:<>\n-> RCPT TO:<a@here.test>\n-> DATA\n<- 250 *\n<- 250 *\n<- 354 *\n-> .\n<- 250 *",
      /took a message/,
    ],
    ["client", "-> EHLO *", /says nothing instead of EHLO/],
    ["client", "<- 220 hi", /says more than the dialogue has/],
    ["client", "<- 220 hi\n-> EHLO *\n<- 250 hi", /events that the dialogue does not have/],
    ["client", "<- 220 hi\n-> EHLO *\nready", /no event instead of: ready/],
    ["client", "throws name client.test", /nothing is thrown/],
  ];
  for (const [side, text, message] of wrong) {
    test(`${side}: ${JSON.stringify(text)}`, () => {
      const [dialogue] = readDialogues(`=== wrong\n${text}\n`);
      assert.ok(dialogue !== undefined);
      assert.throws(() => replay(side, dialogue), message);
    });
  }
});
