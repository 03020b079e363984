/**
 * Mail into a Maildir: the last step, for domains whose mailboxes are here.
 *
 * Rules
 * 1. A message is in `new/` only when it is whole and synced, and its name with it: then it is delivered.
 * 2. `Delivered-To` says for whom (delivery/delivered-to.ts); a message that has been here for the same address goes in a circle (5.4.6).
 * 3. Lines end as files here have them, in LF. Return-Path is ours, whoever wrote one before.
 */
import { randomBytes } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { deliveredBefore, deliveredToText, headerOf, inCircle } from "../delivery/delivered-to.ts";
import { delayedHere, failedHere } from "../delivery/outcomes.ts";
import { readContent } from "../mail/content.ts";
import { formatReversePath } from "../mail/envelope.ts";
import { type Mailbox, mailboxKey } from "../mail/mailbox.ts";
import type { QueuedMessage } from "../mail/message.ts";
import type { Outcome } from "../mail/outcome.ts";
import type { HeaderSection } from "../message/header-section.ts";
import { utf8 } from "../util/bytes.ts";
import { Gate } from "../util/gate.ts";

/** Files written at once. */
const AT_ONCE = 32;

let count = 0;

export class Maildirs {
  readonly #gate = new Gate(AT_ONCE);

  /** `pattern`: the folder, in which `{local}` and `{domain}` stand for those of the recipient. Never rejects. */
  async deliver(pattern: string, message: QueuedMessage, mailbox: Mailbox): Promise<Outcome> {
    const folder = folderOf(pattern, mailbox);
    if (folder === undefined) return failedHere("5.1.3", "the address cannot be the name of a mailbox here", "recipient");
    await this.#gate.enter();
    try {
      return await deliver(folder, message, mailbox);
    } catch (error) {
      return troubleOf(error as NodeJS.ErrnoException, folder);
    } finally {
      this.#gate.leave();
    }
  }
}

/** `undefined` where a name in it would lead elsewhere. */
function folderOf(pattern: string, { localPart, domain }: Mailbox): string | undefined {
  const [local, host] = [localPart.toLowerCase(), domain.toLowerCase()];
  const safe = (name: string): boolean => /^[^/\x00-\x1f"]{1,200}$/.test(name) && !name.startsWith(".");
  if (!safe(local) || !safe(host)) return undefined;
  return pattern.replaceAll("{local}", local).replaceAll("{domain}", host);
}

async function deliver(folder: string, message: QueuedMessage, mailbox: Mailbox): Promise<Outcome> {
  const header = await headerOf(message.content);
  if (deliveredBefore(header).has(mailboxKey(mailbox))) return inCircle(mailbox);
  for (const name of ["tmp", "new", "cur"]) await mkdir(join(folder, name), { recursive: true, mode: 0o700 });
  const name = uniqueName();
  const path = join(folder, "tmp", name);
  try {
    await write(path, message, mailbox, header);
    await rename(path, join(folder, "new", name));
    await syncFolder(join(folder, "new"));
  } catch (error) {
    await rm(path, { force: true }).catch(() => {});
    throw error;
  }
  // Whoever asks for a report of success is told of no path of this machine.
  const at = { name: mailbox.domain, port: 0 };
  return {
    action: "delivered",
    at,
    reply: { code: 250, status: "2.1.5", text: `Delivered to the mailbox as ${name.split(".")[0]}` },
    final: true,
  };
}

async function write(path: string, message: QueuedMessage, mailbox: Mailbox, header: HeaderSection): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    const front = `Return-Path: ${formatReversePath(message.envelope.reversePath)}\n${deliveredToText(mailbox)}\n`;
    await file.write(utf8(front));
    let skip = header.has("return-path") ? header.bytes.length : 0;
    let afterCr = false;
    const put = async (chunk: Uint8Array): Promise<void> => {
      const { bytes, endsInCr } = withLf(chunk, afterCr);
      afterCr = endsInCr;
      if (bytes.length > 0) await file.writeFile(bytes);
    };
    if (skip > 0) for (const chunk of header.without(["return-path"])) await put(chunk);
    for await (const chunk of readContent(message.content)) {
      const rest = chunk.subarray(Math.min(skip, chunk.length));
      skip -= chunk.length - rest.length;
      await put(rest);
    }
    if (afterCr) await file.writeFile("\r");
    await file.datasync();
  } finally {
    await file.close();
  }
}

/** CRLF as LF; a CR at the end of a chunk waits for what follows. */
function withLf(chunk: Uint8Array, afterCr: boolean): { readonly bytes: Buffer; readonly endsInCr: boolean } {
  const text = (afterCr ? "\r" : "") + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString("latin1");
  const endsInCr = text.endsWith("\r");
  return { bytes: Buffer.from((endsInCr ? text.slice(0, -1) : text).replaceAll("\r\n", "\n"), "latin1"), endsInCr };
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** As the Maildir convention has it: time, process and chance, host. */
function uniqueName(): string {
  const now = Date.now();
  const host = hostname().replaceAll("/", "\\057").replaceAll(":", "\\072");
  return `${Math.floor(now / 1000)}.M${now % 1000}P${process.pid}Q${++count}R${randomBytes(4).toString("hex")}.${host}`;
}

function troubleOf(error: NodeJS.ErrnoException, folder: string): Outcome {
  const full = error.code === "ENOSPC" || error.code === "EDQUOT";
  return delayedHere(full ? "4.2.2" : "4.3.0", `cannot write into ${folder}: ${error.message}`, "recipient");
}
