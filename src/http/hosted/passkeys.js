// A form with data-passkey asks for a passkey, to "get" or to "create" one, and carries it to the server. Without this
// script, or where the browser has no passkeys, it stays hidden.
(() => {
  'use strict';
  if (!window.PublicKeyCredential || !navigator.credentials) return;

  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    buffer &&
    btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(''))
      .replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');

  const named = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

  const decode = (options) => ({
    ...options,
    challenge: bytes(options.challenge),
    ...(options.user && {
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: named(options.excludeCredentials),
    }),
    ...(options.allowCredentials && { allowCredentials: named(options.allowCredentials) }),
  });

  const encode = ({ id, rawId, type, response }) => JSON.stringify({
    id,
    rawId: text(rawId),
    type,
    response: {
      clientDataJSON: text(response.clientDataJSON),
      attestationObject: text(response.attestationObject),
      authenticatorData: response.signature && text(response.authenticatorData),
      signature: text(response.signature),
      userHandle: text(response.userHandle),
      transports: response.getTransports && response.getTransports(),
    },
    clientExtensionResults: {},
  });

  const ask = (form, more) => {
    const publicKey = decode(JSON.parse(form.dataset.options));
    return form.dataset.passkey === 'create'
      ? navigator.credentials.create({ publicKey })
      : navigator.credentials.get({ publicKey, ...more });
  };

  const send = (form, credential) => {
    form.elements.credential.value = encode(credential);
    form.submit();
  };

  const complain = (form, message) => {
    const place = form.querySelector('[data-message]');
    place.textContent = message;
    place.hidden = !message;
  };

  // Offers passkeys in the list of user names, where the browser can. It waits for as long as the page is open.
  const offer = async (form, signal) => {
    try {
      if (!('autofill' in form.dataset)) return;
      if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
      send(form, await ask(form, { mediation: 'conditional', signal }));
    } catch {
      // Another way was taken.
    }
  };

  for (const form of document.querySelectorAll('form[data-passkey]')) {
    const other = new AbortController();
    const offered = offer(form, other.signal);
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      complain(form, '');
      // A browser asks one thing at a time.
      other.abort();
      await offered;
      try {
        send(form, await ask(form, {}));
      } catch (error) {
        complain(form, (error.name === 'InvalidStateError' && form.dataset.known) || form.dataset.failed);
      }
    });
    form.hidden = false;
  }
  for (const instead of document.querySelectorAll('[data-without-passkeys]')) instead.hidden = true;
})();
