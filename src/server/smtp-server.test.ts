import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { describe, it, type TestContext } from "node:test";
import { memoryContent } from "../mail/content.ts";
import type { MailEvent } from "../mail/event.ts";
import type { NewMessage } from "../mail/message.ts";
import { reply } from "../mail/reply.ts";
import { concat, fromLatin1 } from "../util/bytes.ts";
import type { ServerOptions } from "./options.ts";
import { accept, type Intake, type Policy, refuse } from "./policy.ts";
import { SmtpServer } from "./smtp-server.ts";

interface Started {
  readonly server: SmtpServer;
  readonly port: number;
  readonly messages: NewMessage[];
  readonly events: MailEvent[];
  readonly discarded: { count: number };
}

async function start(
  t: TestContext,
  options: Partial<ServerOptions> = {},
  parts: { intake?: Partial<Intake>; policy?: Partial<Policy> } = {},
): Promise<Started> {
  const messages: NewMessage[] = [];
  const events: MailEvent[] = [];
  const discarded = { count: 0 };
  const server = new SmtpServer(
    {
      listeners: [{ kind: "smtp", endpoint: { host: "127.0.0.1", port: 0 } }],
      policy: { mail: () => accept, rcpt: () => accept, ...parts.policy },
      credentials: { verify: async () => ({ kind: "rejected", why: "" }) },
      intake: {
        receive: () => {
          const chunks: Uint8Array[] = [];
          return {
            write: (chunk) => void chunks.push(chunk),
            finish: () => memoryContent(chunks),
            discard: () => {
              discarded.count++;
            },
          };
        },
        accept: async (message) => void messages.push(message),
        refusal: (error) => refuse(reply(452, "4.3.1", "Insufficient system storage"), String(error)),
        ...parts.intake,
      },
      events: (event) => events.push(event),
    },
    { hostname: "mail.test", ...options },
  );
  await server.start();
  t.after(() => server.stop(0));
  const { port } = server.addresses[0] as { port: number };
  return { server, port, messages, events, discarded };
}

/** A telnet of few words. */
class Terminal {
  readonly socket: Socket;
  #read = "";
  #closed = false;
  #ring: () => void = () => {};

  constructor(port: number, allowHalfOpen = false) {
    this.socket = connect({ host: "127.0.0.1", port, allowHalfOpen });
    this.socket.on("data", (chunk) => {
      this.#read += chunk.toString("latin1");
      this.#ring();
    });
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.#closed = true;
      this.#ring();
    });
  }

  type(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** All that was read, once it matches or the server has closed. */
  async read(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.#read) && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#ring = resolve;
      });
    }
    assert.match(this.#read, pattern);
    return this.#read;
  }

  async end(): Promise<string> {
    while (!this.#closed) {
      await new Promise<void>((resolve) => {
        this.#ring = resolve;
      });
    }
    return this.#read;
  }
}

const ENVELOPE = "EHLO c.test\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<b@d.test>\r\nDATA\r\n";
const textOf = (message: NewMessage | undefined): string =>
  message?.content.kind === "memory" ? fromLatin1(concat(message.content.chunks)) : "";

describe("a session over a socket", () => {
  it("answers a pipelined group in one write", async (t) => {
    const { port } = await start(t);
    const terminal = new Terminal(port);
    await terminal.read(/^220 /);
    let writes = 0;
    terminal.socket.on("data", () => writes++);
    terminal.type(ENVELOPE);
    await terminal.read(/354 /);
    assert.equal(writes, 1);
  });

  it("answers what came before the peer closed its half", async (t) => {
    const { port, messages } = await start(t);
    const terminal = new Terminal(port, true);
    terminal.socket.end(`${ENVELOPE}Subject: x\r\n\r\nbody\r\n.\r\nNOOP\r\n`);
    const said = await terminal.end();
    assert.match(said, /250 2\.0\.0 OK, message accepted as \w{16}\r\n250 2\.0\.0 OK\r\n$/);
    assert.equal(messages.length, 1);
  });

  it("queues nothing of a message that is cut off", async (t) => {
    const { port, messages, events, discarded } = await start(t);
    const terminal = new Terminal(port);
    terminal.type(`${ENVELOPE}Subject: x\r\n\r\nbody`);
    await terminal.read(/354 /);
    terminal.socket.resetAndDestroy();
    await terminal.end();
    while (!events.some(({ type }) => type === "disconnected")) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(messages.length, 0);
    assert.equal(discarded.count, 1);
  });

  it("closes a session that is idle for too long with 421", async (t) => {
    const { port } = await start(t, { idleTimeout: 50 });
    assert.match(await new Terminal(port).end(), /421 4\.4\.2 /);
  });

  it("refuses who speaks before a delayed greeting", async (t) => {
    const { port } = await start(t, { greetingDelay: 50 });
    const terminal = new Terminal(port);
    terminal.type("EHLO c.test\r\n");
    assert.match(await terminal.end(), /^554 5\.5\.1 .*\r\n$/);
  });

  it("caps connections from one address", async (t) => {
    const { server, port } = await start(t, { maxConnectionsPerAddress: 1 });
    const first = new Terminal(port);
    await first.read(/^220 /);
    assert.match(await new Terminal(port).end(), /^421 4\.7\.0 /);
    first.type("QUIT\r\n");
    await first.end();
    while (server.connections > 0) await new Promise((resolve) => setImmediate(resolve));
    await new Terminal(port).read(/^220 /);
  });

  it("drops what a browser sends", async (t) => {
    const { port } = await start(t);
    const terminal = new Terminal(port);
    terminal.type("POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<a@b.test>\r\n");
    assert.match(await terminal.end(), /^220 .*\r\n554 5\.5\.1 .*\r\n$/);
  });
});

describe("content", () => {
  it("on 25 is refused with a bare CR or LF", async (t) => {
    const { port, messages } = await start(t);
    const terminal = new Terminal(port);
    terminal.type(`${ENVELOPE}Subject: x\r\n\r\na\nb\r\n.\r\n`);
    await terminal.read(/550 5\.6\.0 /);
    assert.equal(messages.length, 0);
  });

  it("that was sent as BINARYMIME stays as it is", async (t) => {
    const { port, messages } = await start(t);
    const terminal = new Terminal(port);
    const content = "Subject: x\r\n\r\na\nb\0\r.\r\n";
    terminal.type(`EHLO c.test\r\nMAIL FROM:<a@c.test> BODY=BINARYMIME\r\nRCPT TO:<b@d.test>\r\nBDAT ${content.length} LAST\r\n${content}`);
    await terminal.read(/message accepted/);
    assert.ok(textOf(messages[0]).endsWith(content));
    assert.equal(messages[0]?.facts.binary, true);
  });

  it("with too many Received fields is a loop", async (t) => {
    const { port } = await start(t, { maxReceived: 3 });
    const terminal = new Terminal(port);
    terminal.type(`${ENVELOPE}${"Received: by x\r\n".repeat(3)}\r\nbody\r\n.\r\n`);
    await terminal.read(/554 5\.4\.6 /);
  });

  it("beyond the size is read to its end and refused, and the session goes on", async (t) => {
    const { port, messages } = await start(t, { maxSize: 1000 });
    const terminal = new Terminal(port);
    terminal.type(`${ENVELOPE}Subject: x\r\n\r\n${"x".repeat(900)}\r\n${"y".repeat(900)}\r\n.\r\nNOOP\r\n`);
    await terminal.read(/552 5\.3\.4 .*\r\n250 2\.0\.0 OK/);
    assert.equal(messages.length, 0);
  });

  it("for which there is no room is answered 452, and the session goes on", async (t) => {
    const { port } = await start(t, {}, { intake: { accept: () => Promise.reject(new Error("disk full")) } });
    const terminal = new Terminal(port);
    terminal.type(`${ENVELOPE}Subject: x\r\n\r\nbody\r\n.\r\nNOOP\r\n`);
    await terminal.read(/452 4\.3\.1 .*\r\n250 2\.0\.0 OK/);
  });

  it("with a Received line that a hostile EHLO cannot forge", async (t) => {
    const { port, messages } = await start(t);
    const terminal = new Terminal(port);
    terminal.type(`${ENVELOPE.replace("c.test", "x;y=[127.0.0.1]")}Subject: x\r\n\r\nbody\r\n.\r\n`);
    await terminal.read(/message accepted/);
    assert.match(textOf(messages[0]), /^Received: from .*\r\n(?:[ \t].*\r\n)+Subject: x\r\n/);
  });
});

describe("a check that fails", () => {
  it("is answered 451 and never means yes", async (t) => {
    const rcpt = (): never => {
      throw new Error("a bug");
    };
    const { port, events } = await start(t, {}, { policy: { rcpt, mail: () => Promise.reject(new Error("gone")) } });
    const terminal = new Terminal(port);
    terminal.type("EHLO c.test\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<b@d.test>\r\n");
    await terminal.read(/451 4\.3\.0 .*\r\n503 5\.5\.1 /);
    assert.ok(events.some((event) => event.type === "refused" && event.why.includes("gone")));
  });
});

describe("stopping", () => {
  it("says 421 to who is idle, and lets a message under way end first", async (t) => {
    const { server, port, messages } = await start(t);
    const idle = new Terminal(port);
    const busy = new Terminal(port);
    await idle.read(/^220 /);
    busy.type(`${ENVELOPE}Subject: x\r\n\r\n`);
    await busy.read(/354 /);
    const stopped = server.stop(5000);
    assert.match(await idle.end(), /421 4\.3\.2 /);
    busy.type("body\r\n.\r\n");
    assert.match(await busy.end(), /message accepted as \w+\r\n421 4\.3\.2 /);
    await stopped;
    assert.equal(messages.length, 1);
  });

  it("cuts what is not done at the deadline", async (t) => {
    const { server, port } = await start(t);
    const slow = new Terminal(port);
    slow.type(ENVELOPE);
    await slow.read(/354 /);
    await server.stop(20);
    await slow.end();
  });
});
