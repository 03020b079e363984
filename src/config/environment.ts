/**
 * The few environment variables that are looked at. Nothing else in src/ reads the environment.
 *
 * | variable | for |
 * |---|---|
 * | POSTRIDER_CONFIG | the configuration file, where `--config` is not given |
 * | POSTRIDER_PASSWORD | the password of `postrider send`, so that it stands on no command line |
 * | NO_COLOR | no colours, whatever the terminal can do (https://no-color.org) |
 */

export interface Environment {
  readonly config?: string;
  readonly password?: string;
  readonly noColor: boolean;
}

export function readEnvironment(variables: NodeJS.ProcessEnv = process.env): Environment {
  const { POSTRIDER_CONFIG: config, POSTRIDER_PASSWORD: password, NO_COLOR: noColor } = variables;
  return {
    ...(config === undefined || config === "" ? {} : { config }),
    ...(password === undefined ? {} : { password }),
    noColor: noColor !== undefined && noColor !== "",
  };
}
