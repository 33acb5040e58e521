/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a hostile host adds to its tables: devices that carry an id along that no list has, promise
 * more ids (PRP0001), appear late, or go by names that were made to be misread. test-acpi.c says
 * what becomes of each. */
DefinitionBlock ("", "SSDT", 2, "TDXA", "HOSTILE", 1)
{
    Scope (\_SB)
    {
        /* No ids: nothing for a driver to go by, and what is in it is looked at all the same. */
        Device (HOST)
        {
            /* A listed _HID, and a _CID that is not; and the other way round. */
            Device (UART)
            {
                Name (_HID, "ACPI0013")
                Name (_CID, EisaId ("PNP0501"))
                Name (_UID, 0x41)
                Name (_CRS, ResourceTemplate () { IO (Decode16, 0x2F8, 0x2F8, 1, 8) IRQNoFlags () {3} })
            }
            Device (UAR2)
            {
                Name (_HID, EisaId ("PNP0501"))
                Name (_CID, "ACPI0013")
                Name (_UID, 0x42)
                Name (_CRS, ResourceTemplate () { IO (Decode16, 0x3E8, 0x3E8, 1, 8) IRQNoFlags () {4} })
            }
            Device (SYS1)
            {
                Name (_HID, EisaId ("PNP0C02"))
                Name (_CID, Package () { EisaId ("PNP0C01"), "TDXA0001" })
                Name (_UID, 0x43)
                Name (_CRS, ResourceTemplate () { IO (Decode16, 0x240, 0x240, 1, 8) })
            }
            Device (GED1)
            {
                Name (_HID, "ACPI0013")
                Name (_CID, "QEMU0002")
                Name (_UID, 0x44)
                Name (_CRS, ResourceTemplate () {})
            }
            Device (GED2)
            {
                Name (_HID, "QEMU0002")
                Name (_CID, "ACPI0013")
                Name (_UID, 0x45)
                Name (_CRS, ResourceTemplate () {})
            }
            Device (BTN1)
            {
                Name (_HID, EisaId ("PNP0C0C"))
                Name (_CID, EisaId ("PNP0C0E"))
                Name (_UID, 0x46)
            }

            /* What would be the parameter for this one, if the kernel believed it? */
            Device (EVIL)
            {
                Name (_HID, "ACPI0013")
                Method (_CID, 0, NotSerialized) { Return ("A,pci:8086:10d3") }
                Name (_UID, 0x47)
                Name (_CRS, ResourceTemplate () {})
            }

            /* Listed, each with nothing besides. */
            Device (BTN2)
            {
                Name (_HID, EisaId ("PNP0C0C"))
                Name (_UID, 0x48)
            }
            Device (GED3)
            {
                Name (_HID, "ACPI0013")
                Name (_UID, 0x49)
                Name (_CRS, ResourceTemplate () {})
            }

            /* Not listed: a driver of the acpi bus, and ones of the platform bus. */
            Device (BTN3)
            {
                Name (_HID, EisaId ("PNP0C0E"))
                Name (_UID, 0x4A)
            }
            Device (ADP1)
            {
                Name (_HID, "ACPI0003")
                Name (_UID, 0x4B)
                Method (_PSR, 0, NotSerialized) { Return (One) }
            }
            Device (FAN1)
            {
                Name (_HID, EisaId ("PNP0C0B"))
                Name (_UID, 0x4C)
                PowerResource (FANP, 0, 0)
                {
                    Method (_STA, 0, NotSerialized) { Return (One) }
                    Method (_ON, 0, NotSerialized) {}
                    Method (_OFF, 0, NotSerialized) {}
                }
                Name (_PR0, Package () { FANP })
            }
            ThermalZone (TZ01)
            {
                Method (_TMP, 0, NotSerialized) { Return (3000) }
                Method (_CRT, 0, NotSerialized) { Return (4000) }
            }

            /* The compatible strings of a device tree, in the place of ids. */
            Device (PRP1)
            {
                Name (_HID, "PRP0001")
                Name (_UID, 0x4D)
                Name (_CRS, ResourceTemplate () { Memory32Fixed (ReadWrite, 0xFED00800, 0x200) })
                Name (_DSD, Package ()
                {
                    ToUUID ("daffd814-6eba-4d8c-8a91-bc9bbf4aa301"),
                    Package () { Package () { "compatible", "virtio,mmio" } }
                })
            }
            Device (PRP2)
            {
                Name (_HID, "LNRO0005")
                Name (_CID, "PRP0001")
                Name (_UID, 0x4E)
                Name (_CRS, ResourceTemplate () { Memory32Fixed (ReadWrite, 0xFED00A00, 0x200) })
                Name (_DSD, Package ()
                {
                    ToUUID ("daffd814-6eba-4d8c-8a91-bc9bbf4aa301"),
                    Package () { Package () { "compatible", "virtio,mmio" } }
                })
            }
            Device (VIO1)
            {
                Name (_HID, "LNRO0005")
                Name (_UID, 0x4F)
                Name (_CRS, ResourceTemplate () { Memory32Fixed (ReadWrite, 0xFED00C00, 0x200) })
            }

            /* Names of platform devices that the kernel makes itself, and lists. */
            Device (REGL)
            {
                Method (_HID, 0, NotSerialized) { Return ("regulatory") }
                Name (_UID, 0x50)
            }
            Device (VIO2)
            {
                Method (_HID, 0, NotSerialized) { Return ("virtio-mmio") }
                Name (_UID, 0x51)
                Name (_CRS, ResourceTemplate () { Memory32Fixed (ReadWrite, 0xFED00E00, 0x200) })
            }

            /* A container, and in it what appears when the guest reads TRIG's _SUN. */
            Name (HERE, Zero)
            Device (TRIG)
            {
                Name (_HID, "TDXA0002")
                Method (_SUN, 0, NotSerialized)
                {
                    Store (0x0F, HERE)
                    Notify (^^CON1, Zero)
                    Return (One)
                }
            }
            Device (CON1)
            {
                Name (_HID, "ACPI0004")
                Name (_UID, 0x52)
                Device (FAN2)
                {
                    Name (_HID, EisaId ("PNP0C0B"))
                    Name (_UID, 0x53)
                    Name (_PR0, Package () { ^^FAN1.FANP })
                }
                Device (LATE)
                {
                    Name (_HID, "ACPI0013")
                    Name (_UID, 0x54)
                    Name (_CRS, ResourceTemplate () {})
                    Method (_STA, 0, NotSerialized) { Return (HERE) }
                }
                Device (LAT2)
                {
                    Name (_HID, "ACPI0013")
                    Name (_CID, "QEMU0002")
                    Name (_UID, 0x55)
                    Name (_CRS, ResourceTemplate () {})
                    Method (_STA, 0, NotSerialized) { Return (HERE) }
                }
                Device (LAT3)
                {
                    Name (_HID, "ACPI0003")
                    Name (_UID, 0x56)
                    Method (_PSR, 0, NotSerialized) { Return (One) }
                    Method (_STA, 0, NotSerialized) { Return (HERE) }
                }
            }

            /* One that is refused, with a listed device and another one in it. */
            Device (CON2)
            {
                Name (_HID, EisaId ("PNP0A05"))
                Name (_CID, "TDXA0001")
                Name (_UID, 0x57)
                Device (GED4)
                {
                    Name (_HID, "ACPI0013")
                    Name (_UID, 0x58)
                    Name (_CRS, ResourceTemplate () {})
                }
                Device (ADP2)
                {
                    Name (_HID, "ACPI0003")
                    Name (_UID, 0x59)
                    Method (_PSR, 0, NotSerialized) { Return (One) }
                }
            }

            /* As CON1, for a guest that has been locked meanwhile. */
            Name (HER2, Zero)
            Device (TRI2)
            {
                Name (_HID, "TDXA0003")
                Method (_SUN, 0, NotSerialized)
                {
                    Store (0x0F, HER2)
                    Notify (^^CON3, Zero)
                    Return (One)
                }
            }
            Device (CON3)
            {
                Name (_HID, "ACPI0004")
                Name (_UID, 0x5C)
                Device (LAT4)
                {
                    Name (_HID, "ACPI0013")
                    Name (_UID, 0x5D)
                    Name (_CRS, ResourceTemplate () {})
                    Method (_STA, 0, NotSerialized) { Return (HER2) }
                }
                Device (PCA0)
                {
                    Name (_HID, EisaId ("PNP0A08"))
                    Name (_CID, EisaId ("PNP0A03"))
                    Name (_UID, 0x5E)
                    Name (_BBN, 0xA0)
                    Name (_CRS, ResourceTemplate ()
                    {
                        WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0xA0, 0xAF, 0, 0x10)
                    })
                    Method (_STA, 0, NotSerialized) { Return (HER2) }
                }
            }

            /* More host bridges. */
            Device (PC80)
            {
                Name (_HID, EisaId ("PNP0A08"))
                Name (_CID, EisaId ("PNP0A03"))
                Name (_UID, 0x5A)
                Name (_BBN, 0x80)
                Name (_CRS, ResourceTemplate ()
                {
                    WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0x80, 0x8F, 0, 0x10)
                })
            }
            Device (PC90)
            {
                Name (_HID, EisaId ("PNP0A08"))
                Name (_CID, Package () { EisaId ("PNP0A03"), "TDXA0001" })
                Name (_UID, 0x5B)
                Name (_BBN, 0x90)
                Name (_CRS, ResourceTemplate ()
                {
                    WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0x90, 0x9F, 0, 0x10)
                })
            }
        }
    }
}
