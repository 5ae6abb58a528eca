"""Photos, scans and screenshots: an image is a document of one page, a TIFF of as many as it has frames."""
