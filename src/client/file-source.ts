/**
 * Files as contents, on Node.
 *
 * Rules
 * 1. A file is read only because the program named it by this function: no field of a message is ever taken for a path.
 * 2. It is opened when the message is sent, anew for each attempt; one that changed its size meanwhile fails the attempt.
 */
import { createReadStream, statSync } from "node:fs";
import { basename } from "node:path";
import type { Attachment, ReplayableSource } from "../message/draft.ts";

/** The content of a file, read while it is sent. Throws the system's error where there is no such file, or it is no file. */
export function file(path: string): ReplayableSource {
  const facts = statSync(path);
  if (!facts.isFile()) throw Object.assign(new Error(`${path} is not a file`), { code: "EISDIR" });
  return { size: facts.size, open: () => createReadStream(path) };
}

/** A file as an attachment, under its own name unless `fields` say another. Throws as `file` does. */
export function attachFile(path: string, fields: Omit<Attachment, "content"> = {}): Attachment {
  return { filename: basename(path), ...fields, content: file(path) };
}
