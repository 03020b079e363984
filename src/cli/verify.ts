/**
 * `postrider verify`: what a receiver finds about a message, explained step by step.
 *
 * Rules
 * 1. Results first, each with its reason; the steps stand below, so that a person sees which record, field or hash decided.
 * 2. Whatever a stranger wrote is shown on one line without controls.
 * 3. `--json` has the same, under names that stay.
 */
import { createReadStream } from "node:fs";
import { arcSteps, dkimSteps } from "../authentication/dkim-steps.ts";
import type { Step } from "../authentication/index.ts";
import type { ReversePath } from "../mail/envelope.ts";
import { parseMailbox } from "../mail/mailbox.ts";
import { formatReply } from "../mail/reply.ts";
import { canonicalAddress } from "../net/address.ts";
import { formatSize } from "../telemetry/event-text.ts";
import { type ResolverOption, withDns } from "./dns-access.ts";
import { CliError, type ExitCode, exitCodes } from "./exit-codes.ts";
import { type Paint, painter, print, type Style, shown } from "./terminal.ts";
import { type Looked, type MessageReport, type Proof, verifyMessage } from "./verify-message.ts";

export interface VerifyOptions extends ResolverOption {
  readonly ip?: string;
  readonly helo?: string;
  readonly from?: string;
  readonly json?: boolean;
}

const codes: Readonly<Record<Proof, ExitCode>> = { proven: exitCodes.ok, "not-proven": exitCodes.data, unknown: exitCodes.temporary };

export async function verify(path: string, options: VerifyOptions): Promise<number> {
  const { ip, helo } = options;
  if (ip !== undefined && canonicalAddress(ip) === undefined) {
    throw new CliError(exitCodes.usage, `--ip ${JSON.stringify(ip)} is no IP address.`);
  }
  const mailFrom = options.from === undefined ? undefined : reversePath(options.from);
  if (mailFrom === null && helo === undefined && ip !== undefined) {
    throw new CliError(exitCodes.usage, "SPF for the null reverse-path is about the EHLO name.", "Give it with --helo.");
  }
  const question = { ip, helo, mailFrom, now: Date.now() };
  const report = await withDns(options, ({ dns }) => verifyMessage({ ...question, content: contentOf(path) }, dns));
  await print(options.json === true ? `${JSON.stringify(toJson(report), null, 2)}\n` : describe(report, path, painter(process.stdout)));
  return codes[report.proof];
}

function reversePath(text: string): ReversePath {
  const bare = text.trim().replace(/^<(.*)>$/, "$1");
  if (bare === "") return null;
  const mailbox = parseMailbox(bare);
  if (mailbox === undefined)
    throw new CliError(
      exitCodes.usage,
      `--from ${JSON.stringify(text)} is no address.`,
      "Such as --from alice@example.org, or --from '<>'.",
    );
  return mailbox;
}

async function* contentOf(path: string): AsyncGenerator<Uint8Array> {
  if (path === "-") {
    if (process.stdin.isTTY) console.error("Paste the message with its header; a line with Ctrl-D alone ends it.");
    yield* process.stdin as AsyncIterable<Buffer>;
    return;
  }
  try {
    yield* createReadStream(path) as AsyncIterable<Buffer>;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new CliError(
      exitCodes.noInput,
      code === "ENOENT" ? `there is no file ${path}.` : `${path} cannot be read: ${message}.`,
      undefined,
      {
        cause: error,
      },
    );
  }
}

const good = new Set(["pass", "accept"]);
const bad = new Set(["fail", "permerror", "reject"]);

function styleOf(result: string): Style {
  return good.has(result) ? "green" : bad.has(result) ? "red" : result === "none" || result === "left out" ? "dim" : "yellow";
}

const WIDTH = 7;

function describe(report: MessageReport, path: string, paint: Paint): string {
  const { spf, iprev, dkim, arc, dmarc } = report;
  let text = `${paint("bold", path === "-" ? "standard input" : path)} (${formatSize(report.size)})\n`;
  for (const from of report.from) text += `  From     ${shown(from)}\n`;
  if (report.subject !== undefined) text += `  Subject  ${shown(report.subject)}\n`;
  if (report.mended) text += "  Its lines end with a bare LF; it was read with CRLF, as it goes over the wire.\n";
  text += "\n";
  const line = (name: string, result: string, why: string): string =>
    `${name.padEnd(WIDTH)}${paint(styleOf(result), result.padEnd(9))}  ${shown(why)}\n`;
  const looked = (name: string, check: Looked<{ readonly result: string; readonly why: string }>): string =>
    check.kind === "left-out" ? line(name, "left out", check.why) : line(name, check.value.result, check.value.why);
  text += looked("SPF", spf) + looked("PTR", iprev);
  if (dkim.results.length === 0) text += line("DKIM", "none", "the message has no DKIM-Signature");
  for (const { verdict, reason } of dkim.results) text += line("DKIM", verdict, reason);
  text += line("ARC", arc.verdict, arc.reason) + line("DMARC", dmarc.result, dmarc.why);
  text += `\n${conclusion(report, paint)}`;
  const steps = (title: string, list: readonly Step[]): string => `\n${paint("bold", title)}\n${list.map(stepLine).join("")}`;
  if (spf.kind === "done") text += steps("SPF: may this address send for that domain?", spf.value.steps);
  if (iprev.kind === "done") text += steps("PTR: has the address a name that leads back?", iprev.value.steps);
  text += steps("DKIM: who signed, and is it as it was signed?", dkimSteps(dkim));
  if (arc.verdict !== "none") text += steps("ARC: what did those see who passed it on?", arcSteps(arc));
  text += steps("DMARC: does what was proven belong to the author in From?", dmarc.steps);
  return text;
}

function stepLine({ depth, text }: Step): string {
  return `  ${"  ".repeat(depth)}${shown(text)}\n`;
}

const proofs: Readonly<Record<Proof, string>> = {
  proven: "It is proven who sent this.",
  "not-proven": "It is not proven who sent this.",
  unknown: "DNS did not say enough to tell who sent this; ask again later.",
};

function conclusion({ proof, receiver, spf, dmarc }: MessageReport, paint: Paint): string {
  const style: Style = proof === "proven" ? "green" : proof === "unknown" ? "yellow" : "red";
  let text = `${paint(style, proofs[proof])}\n`;
  text += `A receiver with Postrider's defaults would ${paint(styleOf(receiver.action), receiver.action)} it: ${shown(receiver.reason)}\n`;
  if (receiver.action === "reject" || receiver.action === "defer") {
    for (const each of formatReply(receiver.reply).trimEnd().split("\r\n")) text += `  ${shown(each)}\n`;
  }
  if (spf.kind === "left-out" && proof === "not-proven" && dmarc.result !== "permerror") {
    text += "SPF was left out, and might have proven it: give --ip and --from.\n";
  }
  return text;
}

function spfJson(check: MessageReport["spf"]): unknown {
  if (check.kind === "left-out") return { result: "left-out", why: check.why };
  const { result, why, identity, domain, sender, mechanism, at, explanation, steps } = check.value;
  return { result, why, identity, domain, sender, mechanism, at, explanation, steps };
}

function iprevJson(check: MessageReport["iprev"]): unknown {
  if (check.kind === "left-out") return { result: "left-out", why: check.why };
  const { result, why, address, name, names, steps } = check.value;
  return { result, why, address, name, names, steps };
}

/** The names of `--json`: they stay. */
function toJson(report: MessageReport): unknown {
  const { dkim, arc, dmarc, receiver, author } = report;
  return {
    proof: report.proof,
    size: report.size,
    lineEndsMended: report.mended,
    from: report.from,
    author: author.kind === "one" ? [author.domain] : author.kind === "several" ? author.domains : [],
    spf: spfJson(report.spf),
    iprev: iprevJson(report.iprev),
    dkim: {
      signatures: dkim.results.map((result) => ({
        result: result.verdict,
        cause: result.cause,
        why: result.reason,
        domain: result.domain,
        selector: result.selector,
        algorithm: result.algorithm,
        signed: result.signature?.names,
        bodyHash: result.body?.hash,
        testing: result.testing,
        bodyLength: result.bodyLength,
        unsignedFields: result.unsignedFields,
      })),
      skipped: dkim.skipped,
      steps: dkimSteps(dkim),
    },
    arc: {
      result: arc.verdict,
      why: arc.reason,
      sets: arc.sets.map(({ instance, domain, validation, seal, message }) => ({
        instance,
        domain,
        validation,
        seal: seal.verdict,
        message: message.verdict,
      })),
      oldestPass: arc.oldestPass,
      steps: arcSteps(arc),
    },
    dmarc: {
      result: dmarc.result,
      why: dmarc.why,
      author: dmarc.author,
      policyDomain: dmarc.policyDomain,
      organizational: dmarc.organizational,
      record: dmarc.record?.text,
      tag: dmarc.tag,
      published: dmarc.published,
      requested: dmarc.requested,
      alignments: dmarc.alignments.map(({ method, domain, selector, result, aligned }) => ({ method, domain, selector, result, aligned })),
      steps: dmarc.steps,
    },
    receiver: { action: receiver.action, reason: receiver.reason, ...("reply" in receiver ? { reply: receiver.reply } : {}) },
  };
}
