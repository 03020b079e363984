/**
 * DNS for commands: of `--resolver`, else of the configuration, else of the system.
 *
 * Rules
 * 1. The resolver is closed when the command's work is done, so that nothing keeps the process.
 */
import { type CheckDns, dnsOf } from "../authentication/index.ts";
import { createResolver, parseServers, type Resolver } from "../net/resolver.ts";
import { CliError, exitCodes } from "./exit-codes.ts";

export interface ResolverOption {
  /** `ip:port`, parted by commas. */
  readonly resolver?: string;
}

export interface Asking {
  readonly dns: CheckDns;
  readonly resolver: Resolver;
  /** As createResolver takes them; `undefined`: the system's. */
  readonly servers: readonly string[] | undefined;
}

/** `servers` are the configuration's. Throws a CliError for a `--resolver` that is none. */
export async function withDns<T>(
  options: ResolverOption,
  work: (asking: Asking) => Promise<T>,
  configured?: readonly string[],
): Promise<T> {
  const servers = options.resolver === undefined ? configured : options.resolver.split(",").map((text) => text.trim());
  let resolver: Resolver;
  try {
    if (servers !== undefined) parseServers(servers);
    resolver = createResolver(servers === undefined ? {} : { servers });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new CliError(exitCodes.usage, `--resolver is ${error.message}.`, "Such as --resolver 192.0.2.53 or --resolver 127.0.0.1:5353.");
  }
  try {
    return await work({ dns: dnsOf(resolver), resolver, servers });
  } finally {
    resolver.close();
  }
}
