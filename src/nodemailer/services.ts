/**
 * Where well-known providers take mail: what `service: "Gmail"` stands for.
 *
 * Rules
 * 1. A name counts without case and without blanks; a domain that the provider serves, or an address in it, is a name too.
 * 2. Port 465 is TLS from the first byte; on any other a listed service needs STARTTLS only where it says so, as in Nodemailer.
 */
export interface Service {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  readonly requireTLS?: boolean;
  readonly ignoreTLS?: boolean;
}

/** Host and port, "!" where STARTTLS is required and "-" where it is never used; then names and domains. */
const table = `
smtp.1und1.de:465               1und1
smtp.126.com:465                126
smtp.163.com:465                163
smtp.aliyun.com:465             Aliyun aliyun.com
smtp.qiye.aliyun.com:465        AliyunQiye
smtp.mxhichina.com:465          qiye.aliyun
smtp.aol.com:587                AOL aol.com
smtps.aruba.it:465              Aruba ArubaPEC aruba.it pec.aruba.it
smtpauths.bluewin.ch:465        Bluewin bluewin.ch
smtp.bol.com.br:587!            BOL bol.com.br
debugmail.io:25                 DebugMail
disroot.org:587                 Disroot disroot.org
smtp.dynect.net:25              DynectEmail Dynect
smtp.elasticemail.com:465       ElasticEmail
smtp.ethereal.email:587         Ethereal ethereal.email
smtp.fastmail.com:465           FastMail fastmail.com fastmail.fm
smtp.feishu.cn:465              FeishuMail Feishu www.feishu.cn
smtp.forwardemail.net:465       ForwardEmail FE forwardemail.net
mail.gandi.net:587              GandiMail Gandi
smtp.gmail.com:465              Gmail GoogleMail gmail.com googlemail.com
smtp-relay.gmail.com:465        GmailWorkspace GoogleWorkspaceMail
mail.gmx.com:587                GMX gmx.com gmx.net gmx.de
smtpout.secureserver.net:25     Godaddy
smtp.asia.secureserver.net:25   GodaddyAsia
smtp.europe.secureserver.net:25 GodaddyEurope
smtp-mail.outlook.com:587       Hotmail Outlook outlook.com hotmail.com
smtp.mail.me.com:587            iCloud Me Mac icloud.com me.com mac.com
smtp.groundmail.dev:587!        Groundmail
mail.hot.ee:587                 hot.ee
mail.infomaniak.com:587         Infomaniak ik.me ikmail.com etik.com
smtp.kolabnow.com:465           KolabNow Kolab kolabnow.com
mailcluster.loopia.se:465       Loopia
smtp.loops.so:587               Loops
smtp.mail.ee:587                mail.ee
smtp.mail.ru:465                Mail.ru
sandbox-smtp.mailcatch.app:2525 Mailcatch.app
localhost:1025-                 Maildev
smtp.mailersend.net:587         MailerSend
smtp.mailgun.org:465            Mailgun
in.mailjet.com:587              Mailjet
mailosaur.io:25                 Mailosaur
relay.mailsenpai.com:2525       MailSenpai
live.smtp.mailtrap.io:587       Mailtrap
smtp.mandrillapp.com:587        Mandrill
smtp.naver.com:587              Naver
smtp.ohmysmtp.com:587           OhMySMTP
send.one.com:465                One
smtp.openmailbox.org:465        OpenMailBox OMB openmailbox.org
smtp.office365.com:587          Outlook365
smtp.oveyon.com:587!            Oveyon
smtp.postmarkapp.com:2525       Postmark PostmarkApp
smtp.protonmail.ch:587!         Proton ProtonMail proton.me protonmail.com protonmail.ch pm.me
smtp.qq.com:465                 QQ qq.com
smtp.exmail.qq.com:465          QQex QQEnterprise exmail.qq.com
smtp.resend.com:465             Resend
smtp.runbox.com:465             Runbox runbox.com
smtp.sendcloud.net:2525         SendCloud
smtp.sendgrid.net:587           SendGrid
smtp-relay.brevo.com:587        SendinBlue Brevo
smtp-pulse.com:465              SendPulse
smtp.seznam.cz:465              Seznam SeznamEmail seznam.cz email.cz post.cz spoluzaci.cz
mail.smtp2go.com:2525           SMTP2GO
smtp.spacepost.dev:25976!       SpacePost
smtp.sparkpostmail.com:587      Sparkpost SparkPostMail sparkpost.com
smtp.tipimail.com:587           Tipimail
pro.turbo-smtp.com:465          TurboSMTP
pro.eu.turbo-smtp.com:465       TurboSMTP-EU
smtp.tutanota.com:465           Tutanota tutanota.com tuta.com tutanota.de tuta.io
smtp.mail.yahoo.com:465         Yahoo yahoo.com
smtp.yandex.ru:465              Yandex yandex.ru
smtp.zimbra.com:587!            Zimbra ZimbraCollaboration
smtp.zoho.com:465               Zoho
`;

const services = new Map<string, Service>();
for (const [, host = "", port, mark, names = ""] of table.matchAll(/^([\w.-]+):(\d+)([!-]?)\s+(.+)$/gm)) {
  const starttls = mark === "!" ? { requireTLS: true } : mark === "-" ? { ignoreTLS: true } : {};
  const service: Service = { host, port: Number(port), secure: port === "465", ...starttls };
  for (const name of names.split(/\s+/)) services.set(keyOf(name), service);
}

/** The service of this name, domain or address; `undefined` where there is none. */
export function findService(name: string): Service | undefined {
  const key = keyOf(name.slice(name.lastIndexOf("@") + 1));
  const [, region] = /^ses(?:-([a-z]{2}(?:-gov)?-[a-z]{1,12}-\d))?$/.exec(key) ?? [];
  if (key === "ses" || region !== undefined) return { host: `email-smtp.${region ?? "us-east-1"}.amazonaws.com`, port: 465, secure: true };
  return services.get(key);
}

function keyOf(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9.-]/g, "");
}
