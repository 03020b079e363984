/** What the command line needs of the configuration. */
export {
  type CertificateSetting,
  type Config,
  type ConfigResult,
  type DeliverySettings,
  type DomainSettings,
  type ListenSetting,
  type OauthSetting,
  type ParseOptions,
  parseConfig,
  type TlsSetting,
} from "./config.ts";
export { type Environment, readEnvironment } from "./environment.ts";
export { formatProblem, formatProblems } from "./format.ts";
export { isPostgresUrl, type ListenEndpoint } from "./kinds.ts";
export type { ConfigProblem } from "./problem.ts";
export { type NamedFiles, type ReadResult, readCertificate, readConfig } from "./read-config.ts";
