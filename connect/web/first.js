// Before anything is shown: the theme, and the one door through which text becomes markup.
'use strict';
(() => {
  const chosen = localStorage.getItem('theme') || 'auto';
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const apply = (theme) => {
    document.documentElement.dataset.bsTheme = theme === 'auto' ? (dark.matches ? 'dark' : 'light') : theme;
    document.documentElement.dataset.theme = theme;
  };
  apply(chosen);
  dark.addEventListener('change', () => apply(localStorage.getItem('theme') || 'auto'));
  window.setTheme = (theme) => {
    localStorage.setItem('theme', theme);
    apply(theme);
  };

  // The content of this page is on its way while the other scripts still come.
  const token = localStorage.getItem('token');
  if (location.pathname !== '/open') window.first = fetch(location.pathname + location.search, { headers: { 'x-ticrypt-token': token || '', 'hx-request': 'true' } });

  // What this program renders holds none of these; whatever does is an injection and is not taken.
  const FORBIDDEN = new Set(['SCRIPT', 'IFRAME', 'OBJECT', 'EMBED', 'BASE', 'META', 'LINK', 'STYLE', 'FRAME', 'FRAMESET', 'APPLET', 'PORTAL', 'FOREIGNOBJECT']);
  const LEADS = new Set(['href', 'src', 'action', 'formaction', 'xlink:href', 'hx-get', 'hx-post', 'hx-put', 'hx-delete', 'data', 'poster', 'srcset', 'srcdoc']);
  const check = (root) => {
    for (const element of root.querySelectorAll('*')) {
      if (FORBIDDEN.has(element.tagName.toUpperCase())) throw new TypeError(`markup with <${element.tagName}> was refused`);
      for (const { name, value } of element.attributes) {
        const lower = name.toLowerCase();
        if (lower.startsWith('on') || lower.startsWith('hx-on') || lower === 'style' || lower === 'srcdoc') throw new TypeError(`markup with ${name} was refused`);
        if (LEADS.has(lower) && !/^(\/(?!\/)|\?|#)/.test(value) && value !== '') throw new TypeError(`markup that leads to ${value} was refused`);
      }
      if (element.content) check(element.content);
    }
  };
  if (window.trustedTypes) {
    const inspect = trustedTypes.createPolicy('inspect', { createHTML: (text) => text });
    trustedTypes.createPolicy('default', {
      createHTML: (text) => {
        check(new DOMParser().parseFromString(inspect.createHTML(`<body><template>${text}</template>`), 'text/html'));
        return text;
      },
      createScriptURL: (url) => {
        if (url !== '/assets/events.js') throw new TypeError('a script from elsewhere was refused');
        return url;
      },
    });
  }
})();
