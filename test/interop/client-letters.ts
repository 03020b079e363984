/**
 * Messages that a test sends, and how what arrived is compared with them: octet by octet, behind the trace fields.
 */
import assert from "node:assert/strict";
import { readContent } from "../../src/mail/content.ts";
import type { Maildirs } from "./maildir.ts";

/** Fields that a server puts in front. */
const traceFields = new Set(["return-path", "received", "delivered-to", "x-original-to", "envelope-to", "delivery-date"]);

/** What is easily lost: dots, blanks at a line's end, empty lines at the end, the longest line that there is (RFC 5321 4.5.3.1.6). */
export const trickyBody = `.\r\n..\r\n.leading\r\nFrom here\r\nblanks  \t\r\n\r\n${"x".repeat(998)}\r\n.\r\nend\r\n\r\n\r\n`;

export interface LetterOptions {
  readonly from: string;
  readonly to: string;
  /** In the Subject: by it the message is found. */
  readonly name: string;
  readonly body?: string;
  readonly charset?: string;
}

/** A whole message, with every field that a server would add otherwise. */
export function letter({ from, to, name, body = trickyBody, charset = "us-ascii" }: LetterOptions): Buffer {
  const fields = [
    "Date: Thu, 06 Feb 2026 10:00:00 +0000",
    `From: ${from}`,
    `To: ${to}`,
    `Subject: ${name}`,
    `Message-ID: <${encodeURIComponent(name)}@client.test>`,
    "MIME-Version: 1.0",
    `Content-Type: text/plain; charset=${charset}`,
    `Content-Transfer-Encoding: ${charset === "us-ascii" ? "7bit" : "8bit"}`,
  ];
  return Buffer.from(`${fields.join("\r\n")}\r\n\r\n${body}`);
}

/** The message of that name is in the mailbox, as it was sent. */
export async function assertArrived(mail: Maildirs, user: string, name: string, sent: Uint8Array): Promise<void> {
  const [message] = await mail.messages(user, 1, name, ({ header }) => header.includes(`\r\nSubject: ${name}\r\n`));
  assertSame((message as { content: Buffer }).content, sent);
}

/** What arrived is what was sent, with nothing but trace fields in front of it. */
export function assertSame(arrived: Buffer, sent: Uint8Array): void {
  const start = arrived.length - sent.length;
  if (start < 0 || !arrived.subarray(start).equals(sent)) {
    assert.fail(`it arrived changed: ${arrived.length} octets for ${sent.length}\n${arrived.subarray(0, 3000).toString("latin1")}`);
  }
  const trace = arrived.subarray(0, start).toString("latin1");
  const fields = trace.split(/\r\n(?![ \t])/).filter((field) => field !== "");
  for (const field of fields) assert.ok(traceFields.has(field.split(":", 1)[0]?.toLowerCase() ?? ""), `unexpected in front: ${field}`);
}

/** For a transport's `sign`: keeps the octets of what is sent. */
export function recorder(): { readonly sign: <T extends Parameters<typeof readContent>[0]>(content: T) => Promise<T>; sent(): Buffer } {
  const chunks: Uint8Array[] = [];
  return {
    sign: async (content) => {
      for await (const chunk of readContent(content)) chunks.push(chunk);
      return content;
    },
    sent: () => Buffer.concat(chunks),
  };
}
