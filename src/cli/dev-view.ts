/**
 * What the try-out shows: where it listens, what arrives, and what to type next.
 *
 * Rules
 * 1. Plain text in the terminal's own width; colours only help.
 * 2. What came by mail is shown without its controls, and only the first lines of it.
 */
import { existsSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { formatReversePath } from "../mail/envelope.ts";
import { formatMailbox } from "../mail/mailbox.ts";
import { fieldText } from "../message/header-section.ts";
import { formatSize } from "../telemetry/event-text.ts";
import { concat } from "../util/bytes.ts";
import type { Journey } from "./journeys.ts";
import { type Paint, shown } from "./terminal.ts";
import { TRY_OUT_RECIPIENT, type TryOut } from "./try-out.ts";

export function banner(tryOut: TryOut, folder: string, paint: Paint): string {
  const label = (text: string): string => paint("dim", text.padEnd(13));
  return [
    "",
    `  ${paint("bold", "Postrider")}, a try-out: nothing is configured, and no mail leaves this machine.`,
    "",
    `  ${label("submission")}127.0.0.1:${tryOut.submission}   STARTTLS and a login required`,
    `  ${label("")}127.0.0.1:${tryOut.submissions}   TLS from the first byte`,
    `  ${label("recipient")}127.0.0.1:${tryOut.recipient}   a second server, to which mail for every domain goes`,
    `  ${label("account")}${tryOut.account}`,
    `  ${label("password")}${paint("bold", tryOut.password)}   (kept in ${folder}/password)`,
    `  ${label("certificate")}${tryOut.certificate}   self-signed`,
    "",
    "",
  ].join("\n");
}

/** Lines of text shown of a message. */
const LINES_SHOWN = 5;
const LINE_SHOWN = 100;
/** Octets of the body that are looked at for them. */
const BODY_LOOKED_AT = 8 * 1024;
const RECIPIENTS_SHOWN = 5;

export function arrivalText(journey: Journey, ports: TryOut, paint: Paint): string {
  const { arrival, header } = journey;
  const field = (name: string): string => {
    const found = header.find(name);
    return found === undefined ? "" : shown(fieldText(found)).trim().slice(0, LINE_SHOWN);
  };
  const to = arrival.envelope.recipients.map(({ mailbox }) => shown(formatMailbox(mailbox)));
  const more = to.length > RECIPIENTS_SHOWN ? ` and ${to.length - RECIPIENTS_SHOWN} more` : "";
  const row = (name: string, text: string): string => `    ${paint("dim", name.padEnd(9))}${text}\n`;
  const title = shown(decodeWords(field("subject"))) || "(no subject)";
  let text = `  ${paint("green", "arrived")}  ${paint("bold", title)}\n`;
  text += row("from", shown(formatReversePath(arrival.envelope.reversePath)));
  text += row("to", to.slice(0, RECIPIENTS_SHOWN).join(", ") + more);
  text += row("size", formatSize(arrival.size));
  text += row("route", routeText(journey, ports));
  for (const [i, line] of firstLines(journey).entries()) text += row(i === 0 ? "text" : "", line);
  return `${text}\n`;
}

/** Encoded words (RFC 2047) as a reader shows them; one that cannot be read stays as it is. */
function decodeWords(text: string): string {
  const joined = text.replace(/(=\?[^?\s]+\?[bq]\?[^?\s]*\?=)\s+(?==\?)/gi, "$1"); // 6.2: the space between two is none
  return joined.replace(/=\?([\w-]+)(?:\*[\w-]+)?\?([bq])\?([^?\s]*)\?=/gi, (word, charset: string, encoding: string, coded: string) => {
    const quoted = (): Buffer =>
      Buffer.from(
        coded.replaceAll("_", " ").replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
        "latin1",
      );
    try {
      return new TextDecoder(charset).decode(/b/i.test(encoding) ? Buffer.from(coded, "base64") : quoted());
    } catch {
      return word;
    }
  });
}

/** `submitted 2587 -> queued, synced +9 ms -> arrived 2525 +14 ms -> settled +17 ms` */
function routeText({ submitted, queued, settled, via, tls, arrival }: Journey, ports: TryOut): string {
  if (queued === undefined && submitted === undefined) return `straight to ${ports.recipient}`;
  const start = submitted ?? queued ?? arrival.at;
  const after = (at: number): string => ` +${Math.max(0, Math.round(at - start))} ms`;
  const port = via === undefined ? "" : ` ${via === "submissions" ? ports.submissions : ports.submission}`;
  const steps = [`submitted${port}`];
  if (queued !== undefined) steps.push(`queued, synced${after(queued)}`);
  steps.push(`relayed${tls === undefined ? "" : `, ${tls.split(" ")[0]}`}, arrived ${ports.recipient}${after(arrival.at)}`);
  if (settled !== undefined) steps.push(`settled${after(settled)}`);
  return steps.join(" -> ");
}

/** The first lines of the body that say something; an encoded body is shown as it is. */
function firstLines({ arrival, header }: Journey): string[] {
  const body: Uint8Array[] = [];
  let skip = header.whole.length;
  let size = 0;
  for (const chunk of arrival.chunks) {
    const rest = chunk.subarray(Math.min(skip, chunk.length));
    skip -= chunk.length - rest.length;
    if (rest.length > 0) body.push(rest);
    size += rest.length;
    if (size >= BODY_LOOKED_AT) break;
  }
  const lines = new TextDecoder()
    .decode(concat(body).subarray(0, BODY_LOOKED_AT))
    .split("\r\n")
    .map((line) => shown(line).trim())
    .filter((line) => line !== "" && !/^--\S/.test(line) && !/^Content-[\w-]+:/i.test(line));
  const first = lines.slice(0, LINES_SHOWN).map((line) => (line.length > LINE_SHOWN ? `${line.slice(0, LINE_SHOWN)}...` : line));
  return lines.length > LINES_SHOWN ? [...first, "..."] : first;
}

/** The launcher as it can be typed from the current folder; an installed package has put `postrider` on the PATH. */
function program(): string {
  const launcher = fileURLToPath(new URL("../../bin/postrider", import.meta.url));
  if (!existsSync(launcher)) return "postrider";
  const near = relative(process.cwd(), launcher);
  return quoted(near.startsWith("..") ? launcher : near.includes("/") ? near : `./${near}`);
}

/** Commands that are ready to paste. */
export function nextCommands(tryOut: TryOut, data: string | undefined, paint: Paint): string {
  const { account, password, submission, certificate } = tryOut;
  const dataOption = data === undefined ? "" : ` --data ${quoted(data)}`;
  return `  ${paint("bold", "Send the next one")} from another terminal; it is shown here when it arrives.

${paint("cyan", `${program()} send${dataOption} --to ${TRY_OUT_RECIPIENT} --subject "Hello" --body "Sent by hand"`)}

${paint(
  "cyan",
  `swaks --server 127.0.0.1:${submission} -tls --auth PLAIN --auth-user ${account} --auth-password ${password} \\
      --from ${account} --to ${TRY_OUT_RECIPIENT}`,
)}

${paint(
  "cyan",
  `python3 - <<'EOF'
import smtplib, ssl
from email.mime.text import MIMEText
message = MIMEText("Sent by smtplib")
message["Subject"], message["From"], message["To"] = "Hello from Python", "${account}", "${TRY_OUT_RECIPIENT}"
with smtplib.SMTP("localhost", ${submission}) as smtp:
    smtp.ehlo()
    smtp.starttls(context=ssl.create_default_context(cafile=${JSON.stringify(certificate)}))
    smtp.ehlo()
    smtp.login("${account}", "${password}")
    smtp.send_message(message)
EOF`,
)}

  Any recipient will do: no address is real here. Ctrl-C stops.

`;
}

function quoted(text: string): string {
  return /^[\w./@:+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
