/**
 * A report's words for the person who sent the message.
 *
 * Rules
 * 1. It says for each address what happened, in whose words, and what the reader can do about it.
 * 2. A server's own words stand by themselves, so that nobody takes them for ours.
 */
import { formatMailbox } from "../mail/mailbox.ts";
import type { Done, Reason, Unfinished } from "../mail/outcome.ts";
import { describeReply } from "../mail/reply.ts";
import type { EnhancedStatus } from "../mail/status.ts";
import { foldText, hostOf, type ReportedRecipient, safeText } from "./delivery-status.ts";
import { formatDate } from "./trace.ts";

const TEXT_WIDTH = 72;

export interface ReportTextOptions {
  readonly reportingMta: string;
  /** Who to turn to, as an address. */
  readonly postmaster: string;
  readonly arrived: number;
  readonly recipients: readonly ReportedRecipient[];
  /** What the third part holds. */
  readonly returned: "headers" | "content";
}

/** The text, in lines that end in CRLF; it may hold any character that an address or a reply had. */
export function reportText(options: ReportTextOptions): string {
  const by = (action: ReportedRecipient["outcome"]["action"]) => options.recipients.filter(({ outcome }) => outcome.action === action);
  let text = paragraph(`This is the mail system at ${options.reportingMta}.`);
  text += section(by("failed"), "Your message could not be delivered to", "It will not be tried again.", options);
  text += section(
    by("delayed"),
    "Your message has not been delivered yet to",
    "You need not send it again: it is still being tried.",
    options,
  );
  text += section(by("delivered"), "Your message was delivered to", "You asked to be told.", options);
  for (const [why, after] of passedOnTexts)
    text += section(
      by("relayed").filter(({ passedOn }) => passedOn === why),
      "Your message was handed on for",
      after,
      options,
    );
  const what = options.returned === "content" ? "The message itself is" : "The headers of your message are";
  return text + foldText(`Details for mail systems and the postmaster follow. ${what} attached.`, TEXT_WIDTH, "");
}

const passedOnTexts: readonly (readonly [ReportedRecipient["passedOn"], string])[] = [
  [undefined, "The server that took it will not report any further."],
  ["untimed", "The server that took it does not know the time by which you want it there."],
  ["traced", "You asked to be told of each step."],
];

function section(recipients: readonly ReportedRecipient[], lead: string, after: string, options: ReportTextOptions): string {
  if (recipients.length === 0) return "";
  const who = recipients.length === 1 ? "this address" : `these ${recipients.length} addresses`;
  let text = paragraph(`${lead} ${who}. ${after}`);
  for (const recipient of recipients) text += recipientText(recipient, options);
  return text;
}

function recipientText(reported: ReportedRecipient, options: ReportTextOptions): string {
  const { recipient, outcome } = reported;
  let text = `<${safeText(formatMailbox(recipient.mailbox), true)}>\r\n`;
  if ("reply" in outcome) return `${text}${doneText(outcome)}\r\n`;
  text += indented(whatHappened(outcome.why));
  if (outcome.why.kind === "reply") text += indented(safeText(describeReply(outcome.why.reply), true), "      ");
  if (outcome.action === "delayed" && reported.retryUntil !== undefined) {
    text += indented(`It will be tried until ${formatDate(reported.retryUntil)}.`);
  }
  const given = givenUp(outcome, reported.attempted, options.arrived);
  if (given !== undefined) text += indented(given);
  return `${text}${indented(advice(outcome, options))}\r\n`;
}

function doneText({ at, reply }: Done): string {
  const said = indented(safeText(describeReply(reply), true), "      ");
  return `${indented(`The server ${safeText(at.name, true)} took the message. It said:`)}${said}`;
}

/** A trouble that could have passed and did not: how long it was tried. */
function givenUp({ action, why }: Unfinished, attempted: number | undefined, arrived: number): string | undefined {
  const passing = why.kind === "reply" ? why.reply.code < 500 : why.kind === "connection" || why.kind === "unknown";
  if (action !== "failed" || !passing || attempted === undefined) return undefined;
  const hours = Math.round((attempted - arrived) / 3_600_000);
  const long =
    hours < 1 ? "less than an hour" : hours < 48 ? `${hours} ${hours === 1 ? "hour" : "hours"}` : `${Math.round(hours / 24)} days`;
  return `It was tried again and again for ${long} and is given up now.`;
}

function whatHappened(why: Reason): string {
  const host = hostOf(why);
  const server = host === undefined ? "The receiving server" : `The server ${safeText(host.name, true)}`;
  switch (why.kind) {
    case "reply":
      return `${server} did not take the message (${safeText(why.doing, true)}). It said:`;
    case "connection":
      return `${server} could not be reached, or the connection failed: ${safeText(why.text, true)} (${safeText(why.doing, true)}).`;
    case "dns":
      return `The receiving server could not be found: ${safeText(why.text, true)}.`;
    case "local":
      return `${safeText(why.text, true)}.`;
    case "unknown":
      return `${server} did not confirm the message, so it may have arrived: ${safeText(why.text, true)}.`;
  }
}

/** By subject and detail of RFC 3463; the class is the outcome's. */
function advice(outcome: Unfinished, options: ReportTextOptions): string {
  if (outcome.action === "delayed") return "There is nothing for you to do now.";
  if (outcome.status === "5.4.7" && outcome.why.kind === "local")
    return "You wanted it back unless it is there in time. Please send it again with more time, or without a time.";
  return (
    adviceByStatus(outcome.status) ??
    `If you do not know what this means, send this report on to your postmaster, ${safeText(options.postmaster, true)}.`
  );
}

function adviceByStatus(status: EnhancedStatus): string | undefined {
  const [, subject, detail] = status.split(".").map(Number);
  const code = `${subject}.${detail}`;
  switch (code) {
    case "1.1":
    case "1.3":
    case "1.6":
      return "Please check the address for typing errors, or ask the recipient for the address in use now.";
    case "1.2":
    case "1.10":
    case "4.4":
      return "Please check the part of the address after the @ for typing errors: that domain does not take mail.";
    case "2.1":
      return "That mailbox is closed for now. Please reach the recipient in another way.";
    case "2.2":
      return "The recipient's mailbox is full. Please reach the recipient in another way, or send the message again later.";
    case "2.3":
    case "3.4":
      return "The message is too large for the recipient. Please send it smaller, or share its attachments in another way.";
    case "4.1":
    case "4.7":
      return "The recipient's server may be out of order. Please send the message again later, or reach the recipient in another way.";
    case "6.7":
      return "The recipient's server does not take addresses or headers outside ASCII. Please use an ASCII address, if there is one.";
  }
  if (subject === 7)
    return "The recipient's server refuses it by its policy. Please reach the recipient in another way, or ask your postmaster.";
  if (subject === 6) return "The recipient's server cannot take this form of message. Please send it as plain text.";
  return undefined;
}

function paragraph(text: string): string {
  return `${foldText(text, TEXT_WIDTH, "")}\r\n`;
}

function indented(text: string, indent = "    "): string {
  return foldText(text, TEXT_WIDTH, indent, indent);
}
