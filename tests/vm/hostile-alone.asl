/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What would be in the way of other tests: an embedded controller, at ports that the host chose, as
 * the kernel waits for its answers where it uses it, and a device whose name looks like a line of the
 * log. */
DefinitionBlock ("", "SSDT", 2, "TDXLAB", "HOSTALON", 1)
{
    Scope (\_SB)
    {
        Device (EMBC)
        {
            Name (_HID, EisaId ("PNP0C09"))
            Name (_UID, 1)
            Name (_GPE, 0x10)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x62, 0x62, 0, 1)
                IO (Decode16, 0x66, 0x66, 0, 1)
            })
        }
        Device (FORG)
        {
            Method (_HID, 0, NotSerialized)
            {
                Return ("Z\nacpi X: driver y refused, or boot with dev_auth.allow=pci:8086:10d3")
            }
            Name (_CID, "ACPI0013")
            Name (_UID, 2)
            Name (_CRS, ResourceTemplate () {})
        }
    }
}
