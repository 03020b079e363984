/**
 * Postfix's load tools, and where Postfix is.
 *
 * Rules
 * 1. Installed (on the PATH), or unpacked by `dpkg -x postfix_*.deb FOLDER` with FOLDER in POSTRIDER_DEBS: nothing is installed here.
 */
import { existsSync, readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Child, freePort, greeted } from "./child.ts";

export interface PostfixFiles {
  /** Of postconf, smtp-source and smtp-sink. */
  readonly commands: string;
  readonly daemons: string;
  readonly libraries: string;
  /** Of dynamicmaps.cf and postfix-files. */
  readonly meta: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Where it is, or `undefined`. */
export function findPostfix(): PostfixFiles | undefined {
  const roots = [process.env.POSTRIDER_DEBS, "/"].filter((root) => root !== undefined);
  for (const root of roots) {
    const commands = join(root, "usr/sbin");
    if (!existsSync(join(commands, "smtp-source"))) continue;
    const libraries = join(root, "usr/lib/postfix");
    return { commands, daemons: join(libraries, "sbin"), libraries, meta: join(root, "etc/postfix"), env: { LD_LIBRARY_PATH: libraries } };
  }
  return undefined;
}

export interface Load {
  readonly count: number;
  readonly port: number;
  readonly sessions: number;
  /** Octets of a message. */
  readonly size: number;
}

/** Sends the load and resolves when every message has its 250; rejects at the first refusal. */
export async function sendAll(files: PostfixFiles, { count, port, sessions, size }: Load, folder: string, limit: number): Promise<void> {
  const args = [
    "-d",
    "-s",
    `${sessions}`,
    "-l",
    `${size}`,
    "-m",
    `${count}`,
    "-f",
    "a@src.test",
    "-t",
    "b@example.com",
    `127.0.0.1:${port}`,
  ];
  const log = join(folder, "source.log");
  await new Child({ file: join(files.commands, "smtp-source"), args, env: files.env, log }).ended(limit);
}

export interface Sink {
  readonly port: number;
  /** Resolves when it has taken so many messages in all. */
  reached(count: number, limit: number): Promise<void>;
  stop(): Promise<void>;
}

const COUNT_POLL = 5;

/** smtp-sink, counting. */
export async function startSink(files: PostfixFiles, folder: string): Promise<Sink> {
  const port = await freePort();
  const log = join(folder, "sink.log");
  const as = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
  const child = new Child({
    file: join(files.commands, "smtp-sink"),
    args: [...as, "-c", `127.0.0.1:${port}`, "1024"],
    env: files.env,
    log,
  });
  await greeted(child, port);
  return {
    port,
    reached: async (count, limit) => {
      const ends = Date.now() + limit;
      for (;;) {
        const seen = messagesIn(log);
        if (seen >= count) return;
        if (Date.now() > ends || !child.running) throw new Error(`smtp-sink has ${seen} of ${count} messages`);
        await sleep(COUNT_POLL);
      }
    },
    stop: () => child.stop(),
  };
}

/** It writes `sess=1 quit=0 mesg=12`, again and again. */
function messagesIn(log: string): number {
  return Number(/.*mesg=(\d+)/s.exec(readFileSync(log, "latin1").slice(-200))?.[1] ?? 0);
}

/** A next hop that takes connections and says nothing: nothing leaves the queue, and nothing fails. */
export async function startTarpit(): Promise<Sink> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    reached: () => Promise.reject(new Error("a tarpit counts nothing")),
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
