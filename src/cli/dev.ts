/**
 * `postrider dev`: the try-out behind `npm start`.
 *
 * Rules
 * 1. Nothing is configured, and nothing leaves the machine: it listens on 127.0.0.1, and every route leads to the inbox beside it.
 * 2. The welcome message goes the whole way, as any mail program's would.
 */
import { resolve } from "node:path";
import type { ControlServer } from "../admin/control-server.ts";
import { SmtpConnection } from "../client/smtp-connection.ts";
import { Inbox } from "../inbox/inbox.ts";
import type { MailEvent } from "../mail/event.ts";
import { newMessageId } from "../mail/message.ts";
import { describeReply } from "../mail/reply.ts";
import { compose } from "../message/compose.ts";
import { sizedContent } from "../message/draft-content.ts";
import { dial } from "../net/dial.ts";
import { ListenError } from "../net/probe.ts";
import { serverContext } from "../net/tls-context.ts";
import { openStores, Relay, type Stores } from "../relay/index.ts";
import { eventLevel } from "../telemetry/event-log.ts";
import { formatEventAt } from "../telemetry/event-text.ts";
import { seconds } from "../util/clock.ts";
import { type KeptCertificate, keptCertificate, makeDataFolder } from "./data-folder.ts";
import { arrivalText, banner, nextCommands } from "./dev-view.ts";
import { CliError, exitCodes } from "./exit-codes.ts";
import { Journeys } from "./journeys.ts";
import { startControl } from "./serve.ts";
import { painter } from "./terminal.ts";
import {
  announceTryOut,
  forgetTryOut,
  keptPassword,
  RECIPIENT_HOSTNAME,
  TRY_OUT_ACCOUNT,
  TRY_OUT_DATA,
  TRY_OUT_HOSTNAME,
  TRY_OUT_RECIPIENT,
  type TryOut,
} from "./try-out.ts";
import { endCode, watchForEnd } from "./until-stopped.ts";

export interface DevOptions {
  readonly data: string;
  readonly submission: number;
  readonly submissions: number;
  readonly recipient: number;
}

const HOST = "127.0.0.1";
const DRAIN = seconds(8);
const WELCOME_WAIT = seconds(10);

export async function dev(options: DevOptions): Promise<number> {
  const folder = resolve(options.data);
  makeDataFolder(folder);
  const events = new EventLines();
  const stores = await openStores({ folder, events: (event) => events.take(event) });
  const started = await start(options, folder, stores, events).catch(async (error: unknown) => {
    await stores.close();
    throw error;
  });
  const { relay, inbox, control, tryOut } = started;
  const ended = watchForEnd(relay);
  const paint = painter(process.stdout);
  say(banner(tryOut, options.data, paint));
  const shown = Promise.withResolvers<void>();
  events.begin(
    (journey) => {
      say(arrivalText(journey, tryOut, paint));
      shown.resolve();
    },
    (line) => say(`  ${paint("dim", line)}\n`),
  );
  const welcomed = welcome(tryOut, started.kept).then(() => within(shown.promise, WELCOME_WAIT));
  const early = await Promise.race([welcomed.then(() => undefined, sayTrouble), ended]);
  if (early === undefined) say(nextCommands(tryOut, options.data === TRY_OUT_DATA ? undefined : options.data, paint));
  const ending = await ended;
  if (ending.kind === "fatal") say(`\n  The queue's storage failed: ${ending.error.message}. What got its 250 is safe.\n`);
  else say("\n  Stopping: what is under way is finished ...\n");
  forgetTryOut(folder);
  await control.close();
  if (ending.kind === "signal") await relay.stop(DRAIN);
  await inbox.stop(0);
  if (ending.kind === "signal") say(`  Stopped. Queue, password and certificate stay in ${options.data}; goodbye.\n`);
  return endCode(ending);
}

interface Started {
  readonly relay: Relay;
  readonly inbox: Inbox;
  readonly control: ControlServer;
  readonly tryOut: TryOut;
  readonly kept: KeptCertificate;
}

async function start(options: DevOptions, folder: string, stores: Stores, events: EventLines): Promise<Started> {
  const kept = keptCertificate(folder, TRY_OUT_HOSTNAME);
  const password = keptPassword(folder);
  await ensureAccount(stores, password);
  const inbox = new Inbox({
    host: HOST,
    port: options.recipient,
    hostname: RECIPIENT_HOSTNAME,
    onArrival: (arrival) => events.journeys.arrived(arrival),
  });
  await inbox.start().catch(otherPort("--recipient"));
  let control: ControlServer | undefined;
  try {
    const relay = tryOutRelay(options, stores, inbox.port, kept, events);
    control = await startControl(folder, stores, relay);
    await relay.start().catch(otherPort("--submission or --submissions"));
    const [submission, submissions] = relay.addresses.map(({ port }) => port) as [number, number];
    const tryOut: TryOut = { submission, submissions, recipient: inbox.port, account: TRY_OUT_ACCOUNT, password, certificate: kept.path };
    announceTryOut(folder, tryOut);
    return { relay, inbox, control, tryOut, kept };
  } catch (error) {
    await control?.close();
    await inbox.stop(0);
    throw error;
  }
}

function tryOutRelay(options: DevOptions, stores: Stores, inboxPort: number, kept: KeptCertificate, events: EventLines): Relay {
  return new Relay({
    hostname: TRY_OUT_HOSTNAME,
    stores,
    listeners: [
      { kind: "submission", endpoint: { host: HOST, port: options.submission } },
      { kind: "submissions", endpoint: { host: HOST, port: options.submissions } },
    ],
    certificate: serverContext(kept.pair),
    domains: { local: new Set(), recipients: new Set(), anyRecipient: new Set(), postmaster: undefined },
    // It is for programs that are being written: whose name they try is their own affair.
    submissionFrom: "allow",
    // Every domain, the account's own too: nothing is looked up and nothing leaves.
    routes: [{ domain: { kind: "any" }, to: { kind: "host", host: HOST, port: inboxPort } }],
    events: (event) => events.take(event),
  });
}

/** The hint of a ListenError names the configuration; here options set the ports. */
function otherPort(option: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof ListenError)) throw error;
    const hint = `Is another try-out running? Stop that program, or choose another port with ${option} (0 takes a free one).`;
    throw new CliError(exitCodes.unavailable, error.message, hint, { cause: error });
  };
}

/** The account has the kept password, whatever was done to it. */
async function ensureAccount({ accounts }: Stores, password: string): Promise<void> {
  if ((await accounts.find(TRY_OUT_ACCOUNT)) === undefined) await accounts.add({ name: TRY_OUT_ACCOUNT, password });
  else await accounts.setPassword(TRY_OUT_ACCOUNT, password);
}

const welcomeText = `This message went the whole way: it was submitted on a TLS connection with a login,
written to the queue and synced, and relayed to the recipient's server.
`;

async function welcome(tryOut: TryOut, kept: KeptCertificate): Promise<void> {
  const connection = await SmtpConnection.open({
    host: HOST,
    port: tryOut.submission,
    name: "localhost",
    tls: "required",
    authorities: kept.pair.certificate,
    credentials: { user: tryOut.account, password: tryOut.password },
    dial,
  });
  const now = Date.now();
  const { from, to, content } = compose(
    { from: { name: "Alice", address: TRY_OUT_ACCOUNT }, to: TRY_OUT_RECIPIENT, subject: "Welcome to Postrider", text: welcomeText },
    { now, messageId: `${newMessageId(now)}@${TRY_OUT_HOSTNAME}`, boundary: newMessageId(now) },
  );
  const envelope = { reversePath: from, recipients: to.map((mailbox) => ({ mailbox })), body: "7BIT", smtpUtf8: false } as const;
  const [result] = await connection.send(envelope, sizedContent(content));
  await connection.quit();
  if (result?.kind === "accepted") return;
  throw new Error(result === undefined ? "no result" : "reply" in result ? describeReply(result.reply) : result.why);
}

function sayTrouble(error: unknown): void {
  say(`  The welcome message could not be sent: ${error instanceof Error ? error.message : String(error)}\n\n`);
}

/** Resolves when `done` does, or after `ms`. */
function within(done: Promise<void>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    void done.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** What happens, as lines; arrivals with their way. */
class EventLines {
  readonly journeys = new Journeys((journey) => this.#showJourney(journey));
  #showJourney: ConstructorParameters<typeof Journeys>[0] = () => {};
  #showLine: (line: string) => void = () => {};

  begin(journey: ConstructorParameters<typeof Journeys>[0], line: (text: string) => void): void {
    this.#showJourney = journey;
    this.#showLine = line;
  }

  take(event: MailEvent): void {
    this.journeys.event(event);
    if (isShown(event)) this.#showLine(formatEventAt(Date.now(), event));
  }
}

/** Arrivals tell the rest, and of pipelined commands the first refusal says all. */
function isShown(event: MailEvent): boolean {
  if (event.type === "refused" && event.reply.code === 503) return false;
  if (event.type === "attempted") return event.outcome.action === "delayed" || event.outcome.action === "failed";
  return event.type !== "listening" && event.type !== "accepted" && eventLevel(event) !== "debug" && event.type !== "authenticated";
}

function say(text: string): void {
  process.stdout.write(text);
}
