/** Recipients' servers on addresses of loopback that share one port, as delivery to port 25 needs it. For tests alone. */
import { createServer, type Server, type Socket } from "node:net";
import type { Cleanup } from "./temp-folder.ts";

export interface NextHop {
  readonly address: string;
  /** Forward-paths of messages that were taken, by connection. */
  readonly taken: string[][];
  /** Where each connection came from. */
  readonly peers: string[];
}

export interface NextHopOptions {
  /** `undefined`: it never says anything. */
  readonly greeting?: string | undefined;
  /** Resolves when the reply to the final dot may be written. */
  readonly beforeReply?: (recipient: string) => Promise<void> | void;
  /** Another answer to a line. */
  readonly answer?: (line: string, socket: Socket) => string | undefined;
  readonly extensions?: readonly string[];
}

/** Servers at 127.0.0.2, 127.0.0.3, ... on one port that is free on all of them. */
export async function startNextHops(t: Cleanup, hops: readonly NextHopOptions[]): Promise<{ port: number; hops: NextHop[] }> {
  const addresses = hops.map((_, i) => `127.0.0.${i + 2}`);
  for (let attempt = 0; ; attempt++) {
    const made = hops.map((options, i) => makeHop(addresses[i] as string, options));
    const port = await listenAll(
      made.map(({ server }) => server),
      addresses,
    );
    if (port === undefined && attempt < 20) continue;
    if (port === undefined) throw new Error("no port is free on all addresses");
    t.after(async () => {
      for (const { end } of made) end();
    });
    return { port, hops: made.map(({ hop }) => hop) };
  }
}

async function listenAll(servers: readonly Server[], addresses: readonly string[]): Promise<number | undefined> {
  let port = 0;
  for (const [i, server] of servers.entries()) {
    const bound = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, addresses[i], () => resolve(true));
    });
    if (!bound) {
      for (const one of servers) one.close();
      return undefined;
    }
    port = (server.address() as { port: number }).port;
  }
  return port;
}

function makeHop(address: string, options: NextHopOptions): { hop: NextHop; server: Server; end(): void } {
  const { beforeReply, answer, extensions = ["PIPELINING"] } = options;
  const greeting = "greeting" in options ? options.greeting : "220 next.test ESMTP";
  const hop: NextHop = { address, taken: [], peers: [] };
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => {});
    hop.peers.push(socket.remoteAddress ?? "");
    const taken: string[] = [];
    hop.taken.push(taken);
    let unread = "";
    let recipient = "";
    let inContent = false;
    const reply = (line: string): string | undefined => {
      const other = answer?.(line, socket);
      if (other !== undefined) return other;
      if (/^EHLO/i.test(line))
        return ["next.test", ...extensions].map((text, i, all) => `250${i === all.length - 1 ? " " : "-"}${text}`).join("\r\n");
      if (/^RCPT/i.test(line)) recipient = line.replace(/^RCPT TO:<|>.*$/gi, "");
      if (line === "DATA") return "354 go";
      if (line === "QUIT") return "221 bye";
      return "250 2.0.0 ok";
    };
    const work = async (): Promise<void> => {
      for (let end = unread.indexOf("\r\n"); end >= 0; end = unread.indexOf("\r\n")) {
        const line = unread.slice(0, end);
        unread = unread.slice(end + 2);
        if (inContent && line !== ".") continue;
        if (inContent) {
          inContent = false;
          await beforeReply?.(recipient);
          taken.push(recipient);
        }
        const said = reply(line);
        inContent = said?.startsWith("354") ?? false;
        if (said !== undefined && socket.writable) socket.write(`${said}\r\n`);
      }
    };
    let working = Promise.resolve();
    socket.on("data", (chunk) => {
      unread += chunk.toString("latin1");
      if (greeting !== undefined) working = working.then(work);
    });
    if (greeting !== undefined) socket.write(`${greeting}\r\n`);
  });
  return {
    hop,
    server,
    end: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}
