/**
 * `postrider/testing`: for tests of programs that send mail. Transports that keep messages instead of sending them, a server that plays a script, and
 * the real server in memory.
 */
export { CONTENT_LIMIT, LINE_LIMIT } from "./client-reader.ts";
export { type EnvelopeFile, FileTransport, type FileTransportOptions } from "./file-transport.ts";
export type { KeptEnvelope, LocalSenderOptions } from "./local-sender.ts";
export { KeptMessage, MemoryTransport } from "./memory-transport.ts";
export { ScriptError } from "./script-error.ts";
export { ScriptedServer, type ScriptedServerOptions } from "./scripted-server.ts";
export { TestMessage } from "./test-message.ts";
export { type Refused, type RefuseHooks, TestServer, type TestServerOptions } from "./test-server.ts";
