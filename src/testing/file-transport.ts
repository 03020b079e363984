/**
 * A transport that writes messages into a folder instead of sending them: `20260731T101512345Z-4F3K….eml`, and beside it the envelope as `.json`.
 *
 * Rules
 * 1. The .eml holds exactly the octets that would have gone to a server. The envelope stands apart, since in the header it would break a
 *    signature, and show the recipients of Bcc to whoever the file is passed on to.
 * 2. A file has its name once it is whole: it is written under another and renamed. The .json is there before the .eml.
 * 3. Names sort by time.
 */
import { mkdir, open, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { newMessageId } from "../mail/message.ts";
import { LocalSender, type LocalSenderOptions, type Outgoing } from "./local-sender.ts";

export interface FileTransportOptions extends LocalSenderOptions {
  /** Made where it is not there. */
  readonly folder: string;
}

/** What the .json beside a message holds. */
export interface EnvelopeFile {
  /** "" is the null reverse-path. */
  readonly from: string;
  readonly to: readonly string[];
  /** With its angle brackets; "" where there is none. */
  readonly messageId: string;
  /** ISO 8601. */
  readonly time: string;
}

export class FileTransport extends LocalSender {
  readonly #folder: string;
  readonly #files: string[] = [];

  constructor({ folder, ...options }: FileTransportOptions) {
    super(folder, options);
    this.#folder = folder;
  }

  /** Paths of the .eml files that were written, oldest first. */
  get files(): readonly string[] {
    return this.#files;
  }

  protected override async keep({ envelope, messageId, read }: Outgoing): Promise<string> {
    await mkdir(this.#folder, { recursive: true });
    const now = new Date();
    const time = now.toISOString();
    const path = join(this.#folder, `${time.replace(/[-:.]/g, "")}-${newMessageId(now.getTime())}`);
    const side: EnvelopeFile = { ...envelope, messageId, time };
    try {
      await writeContent(`${path}.eml.part`, read());
      await writeFile(`${path}.json.part`, `${JSON.stringify(side, undefined, 2)}\n`, { flag: "wx" });
      await rename(`${path}.json.part`, `${path}.json`);
      await rename(`${path}.eml.part`, `${path}.eml`);
    } catch (error) {
      for (const name of [`${path}.eml.part`, `${path}.json.part`, `${path}.json`]) await rm(name, { force: true });
      throw error;
    }
    this.#files.push(`${path}.eml`);
    return `written to ${path}.eml`;
  }
}

async function writeContent(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, "wx");
  try {
    for await (const chunk of chunks) await file.writeFile(chunk);
  } finally {
    await file.close();
  }
}
