/** Ports that are taken where none is given. */
export const SMTP_PORT = 25;
export const SMTPS_PORT = 465;
/** Dovecot's and smtplib's; LMTP has none of its own (RFC 2033 5). */
export const LMTP_PORT = 2003;
