/**
 * Replays the dialogues of this folder. A file `server-*.txt` has our ServerSession under test and the dialogue plays the client;
 * in `client-*.txt` it is the other way round. The format stands in script.ts, settings and steps in server.ts and client.ts.
 *
 * Rules
 * 1. Each dialogue is replayed whole, byte by byte and at random cuts with fixed seeds; every replay must say the same.
 */
import { readdirSync, readFileSync } from "node:fs";
import { replayClient } from "./client.ts";
import { manners } from "./replay.ts";
import { type Dialogue, readDialogues } from "./script.ts";
import { replayServer } from "./server.ts";

export interface DialogueFile {
  readonly name: string;
  readonly side: "client" | "server";
  readonly dialogues: readonly Dialogue[];
}

export function readDialogueFiles(folder: URL): DialogueFile[] {
  const names = readdirSync(folder).filter((name) => /^(?:client|server)-.*\.txt$/.test(name));
  return names.sort().map((name) => {
    const dialogues = readDialogues(readFileSync(new URL(name, folder), "utf8"));
    return { name, side: name.startsWith("client") ? "client" : "server", dialogues };
  });
}

/** Throws, with the manner of the replay in its message, where a replay differs from the dialogue. */
export function replay(side: "client" | "server", dialogue: Dialogue): void {
  for (const manner of manners()) {
    try {
      if (side === "server") replayServer(dialogue, manner);
      else replayClient(dialogue, manner);
    } catch (error) {
      if (error instanceof Error) error.message = `(${manner.name}) ${error.message}`;
      throw error;
    }
  }
}
