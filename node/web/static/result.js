// Times of day as the reader's clock shows them.
for (const time of document.querySelectorAll("time[data-local]")) {
  time.textContent = new Date(time.dateTime).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

// Asks now and then whether the answer has come, and shows it. Without JavaScript the page reloads by itself.
const waiting = document.querySelector("[data-wait]");
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function watch(state) {
  for (;;) {
    await pause(document.hidden ? 5000 : 1500);
    try {
      const answer = await fetch(location.href, { headers: { Accept: "application/json" }, cache: "no-store" });
      if (!answer.ok || (await answer.json()).state !== state) return location.reload();
    } catch {
      // The network went away for a moment; the next look may succeed.
    }
  }
}

if (waiting) watch(waiting.dataset.wait);
