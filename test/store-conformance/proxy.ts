/** A wire to PostgreSQL that can be cut: a TCP port on loopback, passed on to the server's own address. */

import type { AddressInfo } from "node:net";
import { createConnection, createServer, type Socket } from "node:net";
import type { Cleanup } from "../support/temp-folder.ts";

export interface Proxy {
  /** The server's URL by way of this wire. */
  readonly url: string;
  /** whole | deaf: what the server says is lost, and with its first words the connection | cut: nothing passes, and nobody is told. */
  set(state: "whole" | "deaf" | "cut"): void;
}

export async function proxy(t: Cleanup, server: string): Promise<Proxy> {
  const url = new URL(server.replace("@/", "@unix/"));
  const folder = url.searchParams.get("host");
  const sockets = new Set<Socket>();
  let state: "whole" | "deaf" | "cut" = "whole";
  const listener = createServer((near) => {
    const far = folder === null ? createConnection(Number(url.port || 5432), url.hostname) : createConnection(`${folder}/.s.PGSQL.5432`);
    const end = () => {
      if (state === "cut") return;
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", end);
      socket.on("close", () => {
        sockets.delete(socket);
        end();
      });
    }
    near.on("data", (bytes) => {
      if (state !== "cut") far.write(bytes);
    });
    far.on("data", (bytes) => {
      if (state === "whole") near.write(bytes);
      else end();
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  t.after(async () => {
    state = "whole";
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => listener.close(resolve));
  });
  const through = new URL(url);
  through.searchParams.delete("host");
  through.hostname = "127.0.0.1";
  through.port = String((listener.address() as AddressInfo).port);
  return {
    url: through.href,
    set(next) {
      state = next;
      // A wire that is whole again does not bring back what was cut.
      if (next === "whole") for (const socket of sockets) socket.destroy();
    },
  };
}
