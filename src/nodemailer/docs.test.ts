/** docs/nodemailer.md names every option that Nodemailer declares, and every error code that it has. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const page = readFileSync(new URL("../../docs/nodemailer.md", import.meta.url), "utf8");
const declared = (file: string) => readFileSync(new URL(`../../node_modules/nodemailer/dist/esm/${file}`, import.meta.url), "utf8");

/** Names of the properties of an interface, `_private` ones left out. */
function propertiesOf(file: string, name: string): string[] {
  const [, body = ""] = new RegExp(`interface ${name}\\b[^{]*\\{\\n([\\s\\S]*?)\\n\\}`).exec(declared(file)) ?? [];
  const names = [...body.matchAll(/^ {4}([a-zA-Z]\w*)\??:/gm)].map(([, property]) => property as string);
  assert.ok(names.length > 3, `${name} in ${file}`);
  return names;
}

for (const [file, name] of [
  ["mail-composer/index.d.ts", "MailComposerOptions"],
  ["mail-composer/index.d.ts", "MailComposerAlternative"],
  ["mailer/mail-message.d.ts", "SendMailOptions"],
  ["mailer/index.d.ts", "TransportOptions"],
  ["smtp-connection/index.d.ts", "SMTPConnectionOptions"],
] as const) {
  test(`the page names what ${name} has`, () => {
    const missing = propertiesOf(file, name).filter((property) => !new RegExp(`\\b${property}\\b`).test(page));
    assert.deepEqual(missing, []);
  });
}

test("the first snippet's import is the one that package.json offers", () => {
  const { exports } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    exports: Record<string, unknown>;
  };
  assert.match(page, /from "postrider\/nodemailer"/);
  assert.ok("./nodemailer" in exports && "./testing" in exports);
});
