/** One run of the server under load, from an empty data folder to its end, as a journal. */
import { join } from "node:path";
import type { Cleanup } from "../support/temp-folder.ts";
import { type JournalRecord, readJournal } from "./journal.ts";
import { runLoad } from "./load.ts";
import type { Recorder } from "./recorder.ts";
import { Stage } from "./victim.ts";

export interface Recording {
  readonly records: readonly JournalRecord[];
  /** The data folder. */
  readonly data: string;
  readonly folder: string;
}

export interface RecordingOptions {
  readonly folder: string;
  readonly messages: number;
  /** The next hop says nothing: all that is accepted stays queued. */
  readonly silent: boolean;
  readonly noSync?: boolean;
}

export async function record(t: Cleanup, recorder: Recorder, options: RecordingOptions): Promise<Recording> {
  const folder = join(options.folder, `recording-${options.silent ? "silent" : "open"}`);
  const stage = new Stage(folder, recorder.port);
  recorder.silent = options.silent;
  const victim = await stage.start(t, options.noSync === true ? { noSync: true } : {});
  const { accepted } = await runLoad({ port: victim.port, connections: 12, messages: options.messages, prefix: "p" });
  if (accepted.length !== options.messages) throw new Error(`${accepted.length} of ${options.messages} were accepted:\n${victim.text}`);
  await victim.end("SIGKILL");
  return { records: readJournal(stage.journal), data: stage.data, folder };
}
