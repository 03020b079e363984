import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, it } from "node:test";
import { listenError, probeListen } from "./probe.ts";

describe("probe", () => {
  it("finds a port taken, even by one who shares it, and free again", async (t) => {
    const server = createServer();
    server.listen({ host: "127.0.0.1", port: 0, reusePort: true });
    await once(server, "listening");
    t.after(() => server.close());
    const at = { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
    await assert.rejects(probeListen(at, "submission"), {
      name: "ListenError",
      code: "taken",
      message: `cannot listen on 127.0.0.1:${at.port} (submission): another program listens there already.`,
    });
    server.close();
    await once(server, "close");
    await probeListen(at, "submission");
    await probeListen(at, "submission"); // leaves nothing behind
  });

  it("says that the address is not ours", async () => {
    await assert.rejects(probeListen({ host: "192.0.2.1", port: 0 }, "smtp"), { code: "no-address" });
  });

  it("says what to do about a port that is not allowed", () => {
    const error = listenError(Object.assign(new Error("x"), { code: "EACCES" }), { host: "0.0.0.0", port: 587 }, "submission");
    assert.equal(error.message, "cannot listen on 0.0.0.0:587 (submission): permission denied.");
    assert.match(
      error.hint,
      /CAP_NET_BIND_SERVICE: run `setcap`, use the systemd unit \(docs\/systemd\.md\), or set listen\.submission to a port above 1023/,
    );
  });
});
