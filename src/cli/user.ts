/** `postrider user`: the accounts. */
import { type FolderOptions, withAdministration } from "./admin-access.ts";
import { newPassword, weakness } from "./prompt.ts";
import { print, shown, table } from "./terminal.ts";

interface PasswordOptions extends FolderOptions {
  readonly passwordStdin?: boolean;
}

export async function addUser(name: string, options: PasswordOptions & { readonly address?: readonly string[] }): Promise<number> {
  const password = await askPassword(name, options);
  const addresses = options.address === undefined ? {} : { addresses: [...options.address] };
  const added = await withAdministration(options, (admin) => admin.call("user.add", { name, password, ...addresses }), true);
  await print(`added ${added.name}, who owns ${added.addresses.join(", ")}\n`);
  return 0;
}

export async function listUsers(options: FolderOptions & { readonly json?: boolean }): Promise<number> {
  const users = await withAdministration(options, (admin) => admin.call("user.list", {}));
  if (options.json === true) await print(`${JSON.stringify(users, null, 2)}\n`);
  else if (users.length === 0) await print("no accounts; `postrider user add NAME` adds one\n");
  else await print(table([["NAME", "ADDRESSES"], ...users.map(({ name, addresses }) => [shown(name), addresses.map(shown).join(", ")])]));
  return 0;
}

export async function changePassword(name: string, options: PasswordOptions): Promise<number> {
  const password = await askPassword(name, options);
  await withAdministration(options, (admin) => admin.call("user.passwd", { name, password }));
  await print(`changed the password of ${shown(name)}\n`);
  return 0;
}

export async function removeUser(name: string, options: FolderOptions): Promise<number> {
  await withAdministration(options, (admin) => admin.call("user.remove", { name }));
  await print(`removed ${shown(name)}\n`);
  return 0;
}

async function askPassword(name: string, options: PasswordOptions): Promise<string> {
  const password = await newPassword(options.passwordStdin === true);
  const weak = weakness(password, name);
  if (weak !== undefined) console.error(`warning: this password is weak: ${weak}.`);
  return password;
}
