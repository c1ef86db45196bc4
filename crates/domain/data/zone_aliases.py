"""Makes zone_aliases.tsv from the file `backward` of the IANA time zone database.

    python3 zone_aliases.py 2026c < backward > zone_aliases.tsv
"""

import sys

# Links between two places that merely share their clocks since 1970. A user in Stockholm is not in Berlin.
OTHER_PLACES = "Pre-2013 practice"
# Rows that IANA does not have: Rails names Alaska by another city, and has no name for GMT but UTC's.
OWN = [("US/Alaska", "America/Juneau"), ("GMT", "Etc/UTC"), ("Etc/GMT", "Etc/UTC")]

HEAD = """\
# Other spellings of time zones: spelling, tab, id. From the links in the file "backward" of the IANA time zone
# database, {version} (public domain), without those between places that merely share their clocks, and with three
# rows of our own. Ids are spelled as in rails_time_zones.tsv. Made by zone_aliases.py; read by domain and by parity."""


def main():
    rails = [line.rstrip("\n").split("\t") for line in open("rails_time_zones.tsv") if line[0] != "#"]
    names, ids = {name for name, _ in rails}, {zone for _, zone in rails}
    links, is_read = {}, False
    for line in sys.stdin:
        # A section begins with a comment behind two empty lines; its first line names the reason.
        if line.startswith("# ") and not line.startswith("# Link"):
            starts = ("Pre-1993", "Two-part", "Pre-2013", "Non-zone.tab", "Alternate")
            if line[2:].startswith(starts):
                is_read = not line[2:].startswith(OTHER_PLACES)
        if is_read and line.startswith("Link\t"):
            words = line.split()
            # Behind `#=` stands the target that was meant.
            links[words[2]] = words[4] if len(words) > 4 else words[1]
    links.update(OWN)

    def end(zone):
        while zone in links and zone not in ids:
            zone = links[zone]
        return zone

    # Where the table has an older spelling of a zone than IANA, the older one stands for all.
    older = {}
    for link in links:
        target = end(links[link])
        if link in ids and target not in ids:
            assert older.setdefault(target, link) == link, (target, link, older[target])
    rows = {link: older.get(end(link), end(link)) for link in links if link not in ids}
    rows.update(older)
    print(HEAD.format(version=sys.argv[1]))
    for link in sorted(rows):
        # A name of the table stands for its own zone.
        if link not in names:
            print(f"{link}\t{rows[link]}")


main()
