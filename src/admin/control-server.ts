/**
 * The control socket of a running server: `control.sock` in the data folder, for its owner alone.
 *
 * Rules
 * 1. Whoever opens it holds the data folder's lock, so a socket that lies there is stale and is replaced.
 * 2. Bad requests get an error with words; nothing a client sends ends the server.
 * 3. Clients, requests under way and unread answers are all limited.
 */
import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { AdminError } from "./admin-error.ts";
import { CONTROL_VERSION, controlPath, LineSplitter, REQUEST_LIMIT } from "./lines.ts";
import { type Administration, isMethod, parameters } from "./methods.ts";

export interface ControlServer {
  readonly path: string;
  /** Takes no more clients, cuts those there are, removes the socket. */
  close(): Promise<void>;
}

const CLIENT_LIMIT = 50;
/** Requests of one client that wait; beyond it the connection is read no further. */
const WAITING_LIMIT = 100;
/** Octets of a part before base64. */
const PART_SIZE = 192 * 1024;

/** Rejects with an AdminError. */
export async function startControlServer(folder: string, admin: Administration): Promise<ControlServer> {
  const path = controlPath(folder);
  const clients = new Set<Socket>();
  // A client such as socat closes its side when it has asked: it hears the answer all the same.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    clients.add(socket);
    socket.on("close", () => clients.delete(socket));
    socket.on("error", () => socket.destroy());
    serveClient(socket, admin);
  });
  server.maxConnections = CLIENT_LIMIT;
  rmSync(path, { force: true });
  await listenPrivately(server, path);
  server.on("error", () => {});
  return {
    path,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const client of clients) client.destroy();
      await closed;
    },
  };
}

function listenPrivately(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new AdminError("failed", `cannot make the control socket ${path}: ${cause.message}`, { cause })),
    );
    const before = process.umask(0o177); // the socket is bound before `listen` returns
    try {
      server.listen(path, () => {
        server.removeAllListeners("error");
        chmodSync(path, 0o600);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}

function serveClient(socket: Socket, admin: Administration): void {
  const waiting: string[] = [];
  let busy = false;
  let ended = false;
  const work = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    for (let line = waiting.shift(); line !== undefined && !socket.destroyed; line = waiting.shift()) {
      await answer(socket, line, admin);
      if (socket.isPaused() && waiting.length < WAITING_LIMIT) socket.resume();
    }
    busy = false;
    if (ended) socket.end();
  };
  const splitter = new LineSplitter(REQUEST_LIMIT, (line) => {
    waiting.push(line);
    if (waiting.length >= WAITING_LIMIT) socket.pause();
    void work();
  });
  socket.on("end", () => {
    ended = true;
    void work();
  });
  socket.on("data", (chunk) => {
    if (splitter.push(chunk)) return;
    socket.end(
      `${JSON.stringify({ id: null, error: { code: "bad-request", message: `a request has at most ${REQUEST_LIMIT} octets` } })}\n`,
    );
    socket.destroySoon();
  });
}

async function answer(socket: Socket, line: string, admin: Administration): Promise<void> {
  let id: unknown = null;
  try {
    const request = parse(line);
    id = request.id ?? null;
    if (request.v !== CONTROL_VERSION) {
      throw new AdminError("version", `this server speaks version ${CONTROL_VERSION} of the control protocol, not ${String(request.v)}`);
    }
    const { method } = request;
    if (typeof method !== "string" || !isMethod(method))
      throw new AdminError("unknown-method", `there is no method ${JSON.stringify(method)}`);
    const params = parameters[method].safeParse(request.params ?? {});
    if (!params.success)
      throw new AdminError(
        "bad-request",
        `${method}: ${params.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ")}`,
      );
    const result = await admin.call(method, params.data as never, (part) => sendPart(socket, id, part));
    await send(socket, { id, result });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "failed";
    await send(socket, { id, error: { code, message } });
  }
}

function parse(line: string): { v?: unknown; id?: unknown; method?: unknown; params?: unknown } {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Said below.
  }
  throw new AdminError("bad-request", "a request is one JSON object on one line");
}

async function sendPart(socket: Socket, id: unknown, part: Uint8Array): Promise<void> {
  const bytes = Buffer.from(part.buffer, part.byteOffset, part.byteLength);
  for (let at = 0; at < bytes.length; at += PART_SIZE) {
    await send(socket, { id, part: bytes.subarray(at, at + PART_SIZE).toString("base64") });
  }
}

function send(socket: Socket, value: object): Promise<void> {
  if (socket.destroyed) return Promise.resolve();
  if (socket.write(`${JSON.stringify(value)}\n`)) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off("drain", done);
      socket.off("close", done);
      resolve();
    };
    socket.on("drain", done);
    socket.on("close", done);
  });
}
