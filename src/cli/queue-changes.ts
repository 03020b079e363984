/**
 * `postrider queue hold, release, retry, remove, suspend, resume`: what changes the queue.
 *
 * Rules
 * 1. Each can be a dry run, which looks at the same messages and counts them.
 * 2. An id that is not in the queue is said, and makes the exit code 66; the others are still dealt with.
 */
import type { Counted } from "../queue/control.ts";
import type { Suspension } from "../queue/store.ts";
import { formatSize } from "../telemetry/event-text.ts";
import { type FolderOptions, withAdministration } from "./admin-access.ts";
import { CliError, exitCodes } from "./exit-codes.ts";
import { selectionOf } from "./queue-selection.ts";
import { untilOf } from "./spans.ts";
import { plural, print, shown, table } from "./terminal.ts";

interface ChangeOptions extends FolderOptions {
  readonly json?: boolean;
  readonly all?: boolean;
  readonly dryRun?: boolean;
}

interface HoldOptions extends ChangeOptions {
  readonly reason?: string;
  readonly for?: string;
}

type Change = "queue.count" | "queue.hold" | "queue.release" | "queue.retry" | "queue.remove";

export function countMessages(words: readonly string[], options: ChangeOptions): Promise<number> {
  return change("queue.count", words, { ...options, all: words.length === 0 }, "there are");
}

export function holdMessages(words: readonly string[], options: HoldOptions): Promise<number> {
  return change("queue.hold", words, options, "held", { reason: options.reason ?? "held by the postmaster", ...untilOf(options) });
}

export function releaseMessages(words: readonly string[], options: ChangeOptions): Promise<number> {
  return change("queue.release", words, options, "released");
}

export function retryMessages(words: readonly string[], options: ChangeOptions): Promise<number> {
  return change("queue.retry", words, options, "due now:");
}

export function removeMessages(
  words: readonly string[],
  options: ChangeOptions & { readonly bounce?: boolean; readonly reason?: string },
): Promise<number> {
  const { bounce, reason } = options;
  return change("queue.remove", words, options, "removed", {
    ...(bounce === undefined ? {} : { bounce }),
    ...(reason === undefined ? {} : { reason }),
  });
}

async function change(
  method: Change,
  words: readonly string[],
  options: ChangeOptions,
  done: string,
  more: Record<string, unknown> = {},
): Promise<number> {
  const selection = selectionOf(words, options.all === true);
  const dryRun = options.dryRun === true ? { dryRun: true } : {};
  const counted = await withAdministration(options, (admin) => admin.call(method, { ...selection, ...dryRun, ...more } as never));
  if (options.json === true) await print(`${JSON.stringify(counted, null, 2)}\n`);
  else await print(`${options.dryRun === true ? "it would be" : done} ${inWords(counted as Counted)}\n`);
  const { unknown, scheduled = 0 } = counted as Counted;
  if (scheduled > 0 && options.json !== true) await print(`${scheduledInWords(method, scheduled)}\n`);
  for (const id of unknown) console.error(`postrider: there is no message ${shown(id)} in the queue.`);
  return unknown.length === 0 ? exitCodes.ok : exitCodes.noInput;
}

/** What is not due, though it was meant: its sender's word goes before a filter. */
function scheduledInWords(method: Change, count: number): string {
  const these =
    count === 1
      ? "1 message waits for the time that its sender asked for"
      : `${count} messages wait for the times that their senders asked for`;
  return method === "queue.retry" ? `${these}, and ${count === 1 ? "was" : "were"} left alone: name ids to send earlier` : these;
}

function inWords({ messages, recipients, octets }: Counted): string {
  return `${plural(messages, "message")} with ${plural(recipients, "recipient")} (${formatSize(octets)})`;
}

/** `domain:example.test`, `sender:a@b.test`, `account:ann`. */
function suspendedOf(text: string): { kind: Suspension["kind"]; value: string } {
  const [, kind = "", value = ""] = /^(domain|sender|account):(.+)$/.exec(text) ?? [];
  if (value === "") {
    throw new CliError(
      exitCodes.usage,
      `"${shown(text)}" cannot be suspended.`,
      "It is domain:example.test, sender:ann@example.test, sender:example.test or account:ann.",
    );
  }
  return { kind: kind as Suspension["kind"], value };
}

export async function suspend(what: string, options: HoldOptions): Promise<number> {
  const params = { ...suspendedOf(what), reason: options.reason ?? "suspended by the postmaster", ...untilOf(options) };
  const done = await withAdministration(options, (admin) => admin.call("queue.suspend", params));
  if (options.json === true) await print(`${JSON.stringify(done, null, 2)}\n`);
  else await print(`suspended ${shown(what)}: mail is queued and not tried\n`);
  return exitCodes.ok;
}

export async function resume(what: string, options: FolderOptions & { readonly json?: boolean }): Promise<number> {
  const { released } = await withAdministration(options, (admin) => admin.call("queue.resume", suspendedOf(what)));
  if (released === undefined)
    throw new CliError(exitCodes.noInput, `${shown(what)} is not suspended.`, "`postrider queue suspensions` shows what is.");
  if (options.json === true) await print(`${JSON.stringify({ released }, null, 2)}\n`);
  else await print(`resumed ${shown(what)}: ${released} ${released === 1 ? "message is" : "messages are"} due now\n`);
  return exitCodes.ok;
}

export async function listSuspensions(options: FolderOptions & { readonly json?: boolean }): Promise<number> {
  const all = await withAdministration(options, (admin) => admin.call("queue.suspensions", {}));
  if (options.json === true) await print(`${JSON.stringify(all, null, 2)}\n`);
  else if (all.length === 0) await print("nothing is suspended\n");
  else {
    const rows = all.map(({ kind, value, reason, until, made }) => [
      `${kind}:${shown(value)}`,
      new Date(made).toISOString().slice(0, 16),
      until === undefined ? "" : new Date(until).toISOString().slice(0, 16),
      shown(reason),
    ]);
    await print(table([["WHAT", "SINCE", "UNTIL", "REASON"], ...rows]));
  }
  return exitCodes.ok;
}
