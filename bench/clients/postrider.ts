/** Our client. */
import { createTransport } from "../../src/client/index.ts";
import { html, kind, measure, POOL, port, raw, text } from "./program.ts";

const transport = createTransport({ host: "127.0.0.1", port, tlsMode: "none", pool: { maxConnections: POOL, maxMessages: 1_000_000 } });
await measure(
  (i) =>
    kind === "raw"
      ? transport.send({ raw, envelope: { from: "a@src.test", to: "b@example.com" } })
      : transport.send({ from: "Ann <a@src.test>", to: "Bob <b@example.com>", subject: `Message ${i}`, text, html }),
  () => transport.close(),
);
