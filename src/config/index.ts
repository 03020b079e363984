/** What the command line needs of the configuration. */
export { readEnvironment } from "./environment.ts";
export { formatProblems } from "./format.ts";
export { isPostgresUrl } from "./kinds.ts";
export { type NamedFiles, readCertificate, readConfig } from "./read-config.ts";
export type { Config, ListenSetting } from "./settings.ts";
