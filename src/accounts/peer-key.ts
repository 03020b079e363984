/** The key under which a peer's failures are counted: its IPv4 address, or the /64 of its IPv6 address, which is one subscriber's. */
export function peerKey(address: string): string {
  const bare = address.split("%", 1)[0]?.toLowerCase() ?? ""; // without a zone
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(bare);
  if (mapped !== null) return mapped[1] as string;
  if (!bare.includes(":")) return bare;
  const [head = "", tail] = bare.split("::", 2);
  const left = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const right = tail === "" ? [] : tail.split(":");
    const groups = right.length + (right.at(-1)?.includes(".") ? 1 : 0); // an IPv4 tail is two
    while (left.length + groups < 8) left.push("0");
    left.push(...right);
  }
  const network = left.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(":")}::/64`;
}
