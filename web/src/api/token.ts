/** The token that requests show where the server asks for one; it is forgotten with the tab. */
const STORED_AT = 'crosszone.token';

export function token(): string {
  return sessionStorage.getItem(STORED_AT) ?? '';
}

export function rememberToken(text: string): void {
  sessionStorage.setItem(STORED_AT, text.trim());
}
