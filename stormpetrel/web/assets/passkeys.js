// Passkeys: a form with data-passkey gets a button that asks the browser and sends its answer with the form.
"use strict";

(() => {
  const bytes = (text) => {
    const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(plain, (character) => character.charCodeAt(0));
  };
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replaceAll("=", "");

  const withBytes = (options) => {
    const described = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));
    const made = { ...options, challenge: bytes(options.challenge) };
    if (options.user) made.user = { ...options.user, id: bytes(options.user.id) };
    if (options.allowCredentials) made.allowCredentials = described(options.allowCredentials);
    if (options.excludeCredentials) made.excludeCredentials = described(options.excludeCredentials);
    return made;
  };

  const asked = async (options) => {
    const publicKey = withBytes(options);
    const found = await (options.user
      ? navigator.credentials.create({ publicKey })
      : navigator.credentials.get({ publicKey }));
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (found.response[name]) response[name] = text(found.response[name]);
    }
    return { id: found.id, rawId: text(found.rawId), type: found.type, response, clientExtensionResults: {} };
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const button = form.querySelector("button[data-ask]");
    const problem = form.querySelector("[data-problem]");
    if (!window.PublicKeyCredential || !button) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      problem.hidden = true;
      try {
        const answer = await asked(JSON.parse(form.dataset.passkey));
        form.elements.credential.value = JSON.stringify(answer);
        form.submit();
      } catch {
        problem.hidden = false;
      }
    });
  }
})();
