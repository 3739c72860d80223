"""Renders pages as most programs do: Playwright, a page for each URL, all that it asks for loaded.

    playwright_pages.py BROWSER AT_ONCE own|shared <URLS >LINKS

`own`: each page has a browser context of its own; `shared`: all have one, with its cache.
Prints a line of JSON for each page: its URL and its links.
"""

import asyncio
import json
import sys

from playwright.async_api import async_playwright

LINKS = "all => [...new Set(all.map(a => a.href))]"


async def main(program, at_once, contexts):
    urls = [line.strip() for line in sys.stdin]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program)
        shared = await browser.new_context() if contexts == "shared" else None

        async def work():
            while urls:
                url = urls.pop(0)
                context = shared or await browser.new_context()
                page = await context.new_page()
                await page.goto(url)
                # Whoever knows the page waits for what is to be read, and no longer.
                await page.wait_for_selector("main .tags a")
                links = await page.eval_on_selector_all("a", LINKS)
                print(json.dumps({"url": url, "links": links}), flush=True)
                await page.close()
                if not shared:
                    await context.close()

        await asyncio.gather(*(work() for _ in range(int(at_once))))
        await browser.close()


asyncio.run(main(*sys.argv[1:]))
