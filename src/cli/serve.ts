/**
 * `postrider serve`: the server, from its configuration.
 *
 * Rules
 * 1. It starts wholly or not at all; whatever keeps it from starting is said in words, with what to do.
 * 2. Signals: SIGTERM and SIGINT drain, SIGHUP reads the certificate again.
 */
import { resolve } from "node:path";
import { type ControlServer, startControlServer } from "../admin/control-server.ts";
import { administration, type RunningServer } from "../admin/operations.ts";
import type { Credentials } from "../client/credentials.ts";
import { type Config, type ListenSetting, type NamedFiles, readCertificate } from "../config/index.ts";
import { lockFolder } from "../database/index.ts";
import type { Route } from "../delivery/route.ts";
import type { EventSink } from "../mail/event.ts";
import { ListenError, probeListen } from "../net/probe.ts";
import { type CertificatePair, newTicketKeys, type ServerContext, serverContext } from "../net/tls-context.ts";
import { type LoginOptions, openStores, Relay, type RelayOptions, type RetryOptions, type Stores } from "../relay/index.ts";
import { eventLog } from "../telemetry/event-log.ts";
import { createLogger, type Logger } from "../telemetry/logger.ts";
import { keptCertificate, makeDataFolder } from "./data-folder.ts";
import { CliError, exitCodes } from "./exit-codes.ts";
import { loadConfig } from "./load-config.ts";
import { shownDatabase, storesOptions } from "./stores-options.ts";
import { type Ending, endCode, watchForEnd } from "./until-stopped.ts";
import { version } from "./version.ts";

export interface ServeOptions {
  readonly config?: string;
}

export async function serve(options: ServeOptions): Promise<number> {
  const { path, config, certificate, files } = loadConfig(options.config);
  const { format, level } = config.log;
  const logger = createLogger({ format, level });
  const readable = format === "readable" || (format === "auto" && process.stderr.isTTY === true);
  const events = eventLog(logger, { readable });
  try {
    makeDataFolder(config.data);
    const context = serverContext(certificate ?? ownCertificate(config, logger), newTicketKeys(), files.authorities);
    // What a store in the folder would do: certificate and control socket are one server's.
    const lock = config.queue.shared === undefined ? undefined : lockFolder(config.data);
    const stores = await openStores({ ...storesOptions(config, files), events });
    const code = await run({ config, context, stores, events, logger, path, files });
    lock?.release();
    return code;
  } finally {
    await logger.flush();
  }
}

interface Parts {
  readonly config: Config;
  readonly context: ServerContext;
  readonly stores: Stores;
  readonly events: EventSink;
  readonly logger: Logger;
  readonly path: string;
  readonly files: NamedFiles;
}

async function run(parts: Parts): Promise<number> {
  const { config, context, stores, logger, path } = parts;
  const { relay, control } = await start(parts).catch(async (error: unknown) => {
    await stores.close();
    throw error;
  });
  const ended = watchForEnd(relay);
  process.on("SIGHUP", () => reload(config, context, logger));
  const listening = relay.addresses.map(({ kind, host, port }) => `${kind} ${host.includes(":") ? `[${host}]` : host}:${port}`);
  logger.info("ready", {
    version,
    hostname: config.hostname,
    listening: listening.join(", "),
    data: config.data,
    ...(config.queue.shared === undefined ? {} : { queue: shownDatabase(config.queue.shared) }),
    config: resolve(path),
    pid: process.pid,
  });
  const ending = await ended;
  await stop(relay, control, ending, config.drain, logger);
  return endCode(ending);
}

async function start(parts: Parts): Promise<{ relay: Relay; control: ControlServer }> {
  const { config, stores, logger } = parts;
  if (config.listen.length === 0) {
    throw new CliError(
      exitCodes.config,
      "there is nothing to listen on.",
      "Name at least one address in [listen], or leave the table out.",
    );
  }
  const listeners = await possible(config.listen, logger);
  const relay = new Relay(relayOptions(parts, listeners));
  const control = await startControl(config.data, stores, relay);
  try {
    await relay.start();
  } catch (error) {
    await control.close();
    throw error;
  }
  return { relay, control };
}

/** Also says in words where the folder's path is too long for a socket. */
export function startControl(folder: string, stores: Stores, server: RunningServer): Promise<ControlServer> {
  return startControlServer(folder, administration(stores, { server })).catch((error: Error) => {
    throw new CliError(
      exitCodes.cannotCreate,
      `${error.message}.`,
      "Choose a data folder with a shorter path that this user may write to.",
      { cause: error },
    );
  });
}

async function stop(relay: Relay, control: ControlServer, ending: Ending, drain: number, logger: Logger): Promise<void> {
  if (ending.kind === "fatal") {
    logger.error("the queue's storage failed; this process ends. Start it again once the disk is in order: what got its 250 is safe", {
      error: ending.error.message,
    });
    await Promise.all([relay.abandon(), control.close()]);
    return;
  }
  logger.info("stopping: nothing new is taken, what is under way is finished", { signal: ending.signal, within: `${drain / 1000} s` });
  await control.close();
  await relay.stop(drain);
  logger.info("stopped");
}

/** Endpoints that nobody asked for by name are left out where the machine has no such family. */
async function possible(wanted: readonly ListenSetting[], logger: Logger): Promise<ListenSetting[]> {
  const listeners: ListenSetting[] = [];
  for (const each of wanted) {
    const { kind, endpoint } = each;
    if (endpoint.optional) {
      const error = await probeListen(endpoint, kind).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (error instanceof ListenError && (error.code === "no-family" || error.code === "no-address")) {
        logger.info("this machine has no IPv6: not listened on", { listener: kind, address: endpoint.host });
        continue;
      }
    }
    listeners.push(each);
  }
  return listeners;
}

function ownCertificate({ data, hostname }: Config, logger: Logger): CertificatePair {
  const { pair, path, made } = keptCertificate(data, hostname);
  const what = made ? "made a self-signed certificate" : "using the self-signed certificate";
  logger.warn(`${what} ${path}: there is no [tls] table. Clients cannot verify it; set tls.certificate and tls.key before real use`);
  return pair;
}

function reload({ tls }: Config, context: ServerContext, logger: Logger): void {
  if (tls.kind === "self-signed") return logger.info("SIGHUP: the certificate is self-signed, there is nothing to read again");
  try {
    const result = readCertificate(tls);
    if (result.kind === "ok" && result.pair !== undefined) {
      context.reload(result.pair);
      logger.info("SIGHUP: certificate read again", { expires: new Date(context.facts.expires).toISOString() });
    } else if (result.kind === "invalid") {
      for (const { key } of result.problems) logger.error("SIGHUP: the certificate in use stays", { key });
      for (const problem of result.problems) if ("text" in problem) logger.error(`SIGHUP: ${problem.text}`);
    }
  } catch (error) {
    logger.error("SIGHUP: the certificate in use stays", { why: error instanceof Error ? error.message : String(error) });
  }
}

function loginOptions({ oauth, clientCertificates }: Config, { clientSecret = "" }: NamedFiles): LoginOptions {
  const by = oauth?.by.kind === "introspection" ? { ...oauth.by, clientSecret } : oauth?.by;
  return {
    ...(oauth === undefined || by === undefined ? {} : { bearer: { ...oauth, by } }),
    ...(clientCertificates === undefined ? {} : { certificates: clientCertificates.account }),
  };
}

function checkOptions({ checks }: Config, { sealWith }: NamedFiles): Pick<RelayOptions, "checks"> {
  if (checks === undefined) return {};
  const { settings, blockLists, exempt, timeout } = checks;
  return { checks: { settings, blockLists, exempt, timeout, ...(sealWith === undefined ? {} : { sealWith }) } };
}

function withLogin(route: Route, credentials: Credentials | undefined): Route {
  return credentials === undefined || route.to.kind !== "host" ? route : { ...route, to: { ...route.to, credentials } };
}

function retryOptions({ retry, maxAge, reportMaxAge, delayNotice, retryOf }: Config["delivery"]): RetryOptions {
  return {
    intervals: retry,
    giveUpAfter: maxAge,
    giveUpReportsAfter: reportMaxAge,
    tellDelayAfter: delayNotice === 0 ? "never" : delayNotice,
    domains: retryOf.map(({ domain, intervals, max_age: giveUpAfter }) => ({
      domain,
      ...(intervals === undefined ? {} : { intervals }),
      ...(giveUpAfter === undefined ? {} : { giveUpAfter }),
    })),
  };
}

function relayOptions({ config, context, stores, events, files }: Parts, listeners: readonly ListenSetting[]): RelayOptions {
  const { delivery } = config;
  return {
    hostname: config.hostname,
    stores,
    listeners,
    certificate: context,
    logins: loginOptions(config, files),
    domains: config.domains,
    routes: config.routes.map((route, i) => withLogin(route, files.credentials[i])),
    forwards: config.forwards,
    ...(config.srsDomain === undefined ? {} : { srsDomain: config.srsDomain }),
    server: config.server,
    delivery: {
      hostname: delivery.hostname,
      port: delivery.port,
      families: delivery.families,
      sources: delivery.sources,
      pacing: delivery.pacing,
      backOff: delivery.backOff,
      maxTotalConnections: delivery.concurrency,
      maxConnections: delivery.connectionsPerDestination,
      maxMessagesPerConnection: delivery.messagesPerConnection,
      maxRecipients: delivery.recipientsPerMessage,
      keepIdle: delivery.keepConnection,
      timeouts: { connect: delivery.connectTimeout },
    },
    submissionFrom: config.submissionFrom,
    keys: files.keys,
    ...checkOptions(config, files),
    ...(config.reports === undefined ? {} : { reports: config.reports }),
    ...(config.suppression === undefined ? {} : { suppression: config.suppression }),
    dns: config.dns,
    retry: retryOptions(delivery),
    events,
  };
}
