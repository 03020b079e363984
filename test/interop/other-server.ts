/** What the servers of others have in common here. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { Child } from "../support/programs.ts";
import type { Maildirs } from "./maildir.ts";

export interface OtherServerOptions {
  /** The loopback address that it listens on, and sends from. */
  readonly address: string;
  readonly port: number;
  readonly hostname: string;
  /** The domain whose mailboxes it holds. */
  readonly domain: string;
  /** Its mailboxes; any other is refused. */
  readonly users: readonly string[];
  /** Where it sends what is not its own: our port 587, with a login. */
  readonly submitTo: { readonly port: number; readonly user: string; readonly password: string; readonly certificate: string };
  /** Where it relays one domain to: our port 25. */
  readonly relayTo: { readonly domain: string; readonly port: number };
}

export interface OtherServer {
  readonly mail: Maildirs;
}

/** A port that is free on all of these addresses at this moment. */
export async function freePort(addresses: readonly string[]): Promise<number> {
  for (;;) {
    let port = 0;
    const servers = [];
    try {
      for (const host of addresses) {
        const server = createServer();
        server.listen({ host, port, exclusive: true });
        await once(server, "listening");
        servers.push(server);
        port = (server.address() as { port: number }).port;
      }
      return port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    } finally {
      await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
    }
  }
}

/** So many ports, each another, that are free on all of these addresses at this moment. */
export async function freePorts(count: number, addresses: readonly string[]): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort(addresses));
  return [...ports];
}

/** For a server to listen, in milliseconds. */
const START_LIMIT = 30_000;

/** Resolves once somebody listens there; a host that begins with "/" is a unix socket. A program of others has no event for it, so it is asked again and again. */
export async function reachable(host: string, port: number, child: Child, log: () => string): Promise<void> {
  const end = Date.now() + START_LIMIT;
  while (!(await answers(host, port))) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}:\n${log()}`);
    if (Date.now() > end) throw new Error(`nobody listens on ${host}:${port}:\n${log()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function answers(host: string, port: number): Promise<boolean> {
  const socket = connect(host.startsWith("/") ? { path: host } : { host, port });
  return new Promise((resolve) => {
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

/** The ids of a user of this machine. */
export function accountIds(name: string): { readonly uid: number; readonly gid: number } {
  const [, , uid, gid] = entryOf("passwd", name);
  return { uid: Number(uid), gid: Number(gid) };
}

export function groupId(name: string): number {
  return Number(entryOf("group", name)[2]);
}

function entryOf(kind: "passwd" | "group", name: string): string[] {
  const line = readFileSync(`/etc/${kind}`, "utf8")
    .split("\n")
    .find((each) => each.startsWith(`${name}:`));
  if (line === undefined) throw new Error(`no ${name} in /etc/${kind}`);
  return line.split(":");
}
