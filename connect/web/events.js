// One stream of events for all tabs of this browser.
'use strict';
const ports = new Set();
let token = null;
let running = false;

const tell = (name, data) => {
  for (const port of ports) port.postMessage({ name, data });
};

async function run() {
  running = true;
  for (let wait = 500; ports.size > 0; wait = Math.min(wait * 2, 8000)) {
    try {
      const reply = await fetch('/events', { headers: { 'x-ticrypt-token': token } });
      if (!reply.ok) throw new Error(String(reply.status));
      tell('connected', null);
      wait = 500;
      const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const blocks = (rest + value).split('\n\n');
        rest = blocks.pop();
        for (const block of blocks) {
          let name = 'message';
          const data = [];
          for (const line of block.split('\n')) {
            if (line.startsWith('event:')) name = line.slice(6).trim();
            else if (line.startsWith('data:')) data.push(line.slice(5).trim());
          }
          if (data.length) tell(name, JSON.parse(data.join('\n')));
        }
      }
    } catch (error) { /* told below */ }
    tell('disconnected', null);
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
  running = false;
}

onconnect = ({ ports: [port] }) => {
  ports.add(port);
  port.onmessage = ({ data }) => {
    if (data === 'bye') return ports.delete(port);
    token = data.token;
    if (!running) run();
  };
  port.start();
};
