// Spends the link: its key is in the fragment, which no server log and no history of requests holds. What comes back is kept by this
// origin, port included; the cookie alone opens nothing.
'use strict';
(async () => {
  const say = (text) => { document.getElementById('say').textContent = text; };
  const key = location.hash.slice(1);
  history.replaceState(null, '', location.pathname);
  if (!key) return say('This page opens with the link that ticrypt-connect prints. Run it again for a new one.');
  const reply = await fetch('/open', { method: 'POST', body: new URLSearchParams({ key }) });
  if (!reply.ok) return say('This link was used already. Run ticrypt-connect again for a new one.');
  localStorage.setItem('token', (await reply.json()).token);
  location.replace('/');
})().catch(() => { document.getElementById('say').textContent = 'ticrypt-connect does not answer. Is it still running?'; });
