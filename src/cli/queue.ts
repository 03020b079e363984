/**
 * `postrider queue`: what waits, and why.
 *
 * Rules
 * 1. An id that is not in the queue is said, and makes the exit code 66; the others are still dealt with.
 */
import { formatReversePath } from "../mail/envelope.ts";
import { formatMailbox } from "../mail/mailbox.ts";
import type { Origin } from "../mail/message.ts";
import { NEVER_DUE, type QueuedRecipientSummary, type QueuedSummary } from "../queue/store.ts";
import { formatSize, formatSpan } from "../telemetry/event-text.ts";
import { type FolderOptions, withAdministration } from "./admin-access.ts";
import { CliError, exitCodes } from "./exit-codes.ts";
import { filterText } from "./queue-selection.ts";
import { painter, plural, print, shown, table } from "./terminal.ts";

interface QueueOptions extends FolderOptions {
  readonly json?: boolean;
}

/** Recipients of a message that a listing shows. */
const RECIPIENTS_SHOWN = 3;
const REASON_SHOWN = 100;

export async function listQueue(
  terms: readonly string[],
  options: QueueOptions & { readonly limit: number; readonly after?: string },
): Promise<number> {
  const { limit, after } = options;
  const filter = filterText(terms);
  const [messages, status] = await withAdministration(options, async (admin) => [
    await admin.call("queue.list", { limit, filter, ...(after === undefined ? {} : { after: after.toUpperCase() }) }),
    await admin.call("status", {}),
  ]);
  if (options.json === true) {
    await print(`${JSON.stringify({ ...status.queue, list: messages }, null, 2)}\n`);
    return 0;
  }
  if (messages.length === 0) {
    const none = status.queue.messages === 0 ? "the queue is empty\n" : "no message fits\n";
    await print(after === undefined ? none : "no more messages\n");
    return 0;
  }
  await print(
    table(
      [["ID", "AGE", "SIZE", "FROM", "TO", "STATE", "NEXT", "LAST"], ...messages.flatMap((message) => rowsOf(message, Date.now()))],
      [1, 2],
    ),
  );
  const { queue } = status;
  const all = filter === "" ? "" : "in all ";
  await print(`${all}${plural(queue.messages, "message")}, ${plural(queue.recipients, "recipient")}, ${queue.active} being delivered\n`);
  const last = messages.at(-1);
  if (messages.length === limit && queue.messages > messages.length && last !== undefined) await print(`for more: --after ${last.id}\n`);
  return 0;
}

function rowsOf(message: QueuedSummary, now: number): string[][] {
  const first = [
    message.id,
    formatSpan(Math.max(0, now - message.arrived)),
    formatSize(message.size),
    shown(formatReversePath(message.from)),
  ];
  const rows = message.recipients
    .slice(0, RECIPIENTS_SHOWN)
    .map((recipient, i) => [...(i === 0 ? first : ["", "", "", ""]), shown(formatMailbox(recipient.mailbox)), ...stateOf(recipient, now)]);
  const more = message.recipients.length - RECIPIENTS_SHOWN;
  if (more > 0) rows.push(["", "", "", "", `and ${more} more`]);
  if (message.hold !== undefined) rows.push(["", "", "", "", `held: ${shown(message.hold.reason)}`]);
  const asked = wishesInShort(message, now);
  if (asked !== "") rows.push(["", "", "", "", asked]);
  return rows;
}

/** What its sender asked for, in a few words. */
function wishesInShort({ holdUntil, deliverBy, priority }: QueuedSummary, now: number): string {
  const left = (time: number): string => (time > now ? `in ${formatSpan(time - now)}` : "over");
  const wishes = [
    holdUntil !== undefined && holdUntil > now ? `released ${left(holdUntil)}` : undefined,
    deliverBy === undefined ? undefined : `deliver by ${left(deliverBy.at)}`,
    priority === undefined ? undefined : `priority ${priority}`,
  ];
  return wishes.filter((wish) => wish !== undefined).join(", ");
}

/** Likewise, a line for each. */
function wishesOf({ holdUntil, deliverBy, priority }: QueuedSummary, now: number): string {
  const at = (time: number): string => `${new Date(time).toISOString()}${time > now ? ` (in ${formatSpan(time - now)})` : ""}`;
  let text = "";
  if (holdUntil !== undefined) text += `  released ${at(holdUntil)}, as its sender asked\n`;
  if (deliverBy !== undefined)
    text += `  by       ${at(deliverBy.at)}, else ${deliverBy.mode === "return" ? "it is returned" : "its sender is told"}\n`;
  if (priority !== undefined) text += `  priority ${priority}\n`;
  return text;
}

function stateOf({ state, due, last }: QueuedRecipientSummary, now: number): [string, string, string] {
  const reason = shown(last);
  const short = reason.length > REASON_SHOWN ? `${reason.slice(0, REASON_SHOWN)}...` : reason;
  return [state, nextOf(state, due, now), short];
}

function nextOf(state: QueuedRecipientSummary["state"], due: number, now: number): string {
  if (state === "active") return "now";
  if (due >= NEVER_DUE) return "never";
  return due <= now ? "due" : `in ${formatSpan(due - now)}`;
}

interface ShowOptions extends QueueOptions {
  readonly header?: boolean;
  readonly content?: boolean;
}

export async function showMessage(given: string, options: ShowOptions): Promise<number> {
  const id = given.toUpperCase();
  return withAdministration(options, async (admin) => {
    if (options.header === true || options.content === true) {
      const write = options.content === true ? print : headerWriter();
      await admin.call("queue.content", { id }, write);
      return 0;
    }
    const { message } = await admin.call("queue.show", { id });
    if (message === undefined) throw noMessage(id);
    await print(options.json === true ? `${JSON.stringify(message, null, 2)}\n` : describe(message, Date.now()));
    return 0;
  });
}

function noMessage(id: string): CliError {
  return new CliError(
    exitCodes.noInput,
    `there is no message ${shown(id)} in the queue.`,
    "It was delivered, bounced or removed; the log knows. `postrider queue list` shows what waits.",
  );
}

/** Prints up to the first empty line. */
function headerWriter(): (part: Uint8Array) => Promise<void> | void {
  let tail = "";
  let done = false;
  return (part) => {
    if (done) return;
    const text = tail + Buffer.from(part).toString("latin1");
    const end = text.startsWith("\r\n") ? 0 : text.indexOf("\r\n\r\n");
    done = end !== -1;
    // Three octets stay, so that an empty line over two parts is seen.
    const ready = done ? text.slice(0, end + 2) : text.slice(0, -3);
    tail = done ? "" : text.slice(-3);
    return print(Buffer.from(ready, "latin1"));
  };
}

function describe(message: QueuedSummary, now: number): string {
  const paint = painter(process.stdout);
  let text = `${paint("bold", message.id)}\n`;
  text += `  from     ${shown(formatReversePath(message.from))}\n  size     ${formatSize(message.size)}\n`;
  text += `  arrived  ${new Date(message.arrived).toISOString()} (${formatSpan(Math.max(0, now - message.arrived))} ago)\n  origin   ${shown(originInWords(message.origin))}\n`;
  if (message.hold !== undefined) {
    const { reason, until } = message.hold;
    text += `  held     ${shown(reason)}${until === undefined ? "" : ` (until ${new Date(until).toISOString()})`}\n`;
  }
  text += wishesOf(message, now);
  for (const { mailbox, state, attempts, due, last } of message.recipients) {
    const tried = `${attempts} ${attempts === 1 ? "attempt" : "attempts"}`;
    text += `  to       ${shown(formatMailbox(mailbox))}\n             ${state}, ${tried}, ${nextInWords(state, due, now)}\n`;
    if (last !== "") text += `             last: ${shown(last)}\n`;
  }
  return text;
}

function originInWords(origin: Origin): string {
  switch (origin.kind) {
    case "submission":
      return `submitted by ${origin.account} from ${origin.peer}`;
    case "smtp":
      return `received from ${origin.helo} (${origin.peer})`;
    case "bounce":
      return `a bounce about ${origin.about}`;
    case "local":
      return "made here";
  }
}

function nextInWords(state: QueuedRecipientSummary["state"], due: number, now: number): string {
  if (state === "active") return "being delivered";
  if (due >= NEVER_DUE) return "not tried until it is released";
  return due <= now ? "due now" : `next ${new Date(due).toISOString()} (in ${formatSpan(due - now)})`;
}
